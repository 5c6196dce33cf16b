"""The pages of releases."""

from typing import Annotated, Any

from fastapi import Form, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from app.errors import Conflict, InvalidInput
from app.export import queries, service
from app.export.asking import AUDITED, PEOPLE, Wanted
from app.export.formats import ALWAYS_BUILT, DERIVED, FORMATS, file_name
from app.pipeline import INSTANCE_LANGUAGES, Task
from app.rows.gates import DEFAULTS, MEANINGS, Mode
from app.storage.tables import Project
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role
from app.web.errors import refusal_of
from app.web.flash import see_other
from app.web.pagination import LARGEST_KEY, AskedWindow, cut
from app.web.retry import page_router
from app.web.templating import render

router = page_router()

_NO_CHOICE: list[str] = []
Choices = Annotated[list[str], Form()]


@router.get("/releases")
def releases(
    request: Request, session: DbSession, project: CurrentProject, asked: AskedWindow
) -> HTMLResponse:
    rows, following = cut(
        queries.releases_of(session, project.id, asked.after, asked.limit + 1),
        asked,
        lambda one: one.release.id,
    )
    return render(request, "export/page.html", releases=rows, next_cursor=following)


@router.get("/releases/new", dependencies=[require_role("admin")])
def new_release(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    audit: Annotated[int | None, Query(ge=1, le=LARGEST_KEY)] = None,
) -> HTMLResponse:
    """The form; with the number of an audit, for a release of its lot."""
    given = Wanted("", basis=AUDITED if audit else PEOPLE, audit_id=audit)
    return render(request, "export/new.html", **_form(session, project, given), errors={}, given=given)


@router.post("/releases/new", dependencies=[require_role("admin")])
def add_release(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    name: Annotated[str, Form()] = "",
    tasks: Choices = _NO_CHOICE,
    languages: Choices = _NO_CHOICE,
    block: Choices = _NO_CHOICE,
    formats: Choices = _NO_CHOICE,
    test_share: Annotated[str, Form()] = "0",
    audit_id: Annotated[int | None, Form(ge=1, le=LARGEST_KEY)] = None,
) -> Response:
    wanted = Wanted(name.strip(), formats=formats)
    if audit_id is not None:
        wanted = wanted._replace(basis=AUDITED, audit_id=audit_id)
    else:
        wanted = wanted._replace(
            filters={"tasks": tasks, "languages": languages},
            gates={gate: Mode.BLOCK if gate in block else Mode.ADMIT for gate in DEFAULTS},
        )
    try:
        wanted = wanted._replace(splits=_splits(test_share))
        run = service.start_release(session, project, wanted, person)
    except (InvalidInput, Conflict) as error:
        field = error.field if isinstance(error, InvalidInput) else "name"
        return render(
            request,
            "export/new.html",
            status=refusal_of(error).status,
            **_form(session, project, wanted),
            errors={field or "name": str(error)},
            given=wanted,
        )
    return see_other(f"/runs/{run.id}", f"Release {wanted.name} is being built.")


@router.get("/releases/{name}")
def release(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    name: Annotated[str, Path(max_length=100)],
) -> HTMLResponse:
    found, run = queries.release_named(session, project.id, name)
    listed = [one["name"] for one in (found.manifest or {}).get("files", [])]
    return render(
        request,
        "export/release.html",
        release=found,
        run=run,
        manifest=found.manifest,
        address=f"/api/v1/projects/{project.slug}/releases/{found.name}",
        on_request=[
            file_name(format_, split)
            for format_ in DERIVED
            for split in (found.manifest or {}).get("splits", {})
            if file_name(format_, split) not in listed
        ],
    )


def _form(session: Session, project: Project, given: Wanted) -> dict[str, Any]:
    shared = {"formats": [(name, name in ALWAYS_BUILT) for name in FORMATS]}
    if given.basis == AUDITED:
        return shared | {"audit": queries.audit_named(session, project.id, given.audit_id)}
    sorted_out = service.preview(session, project, service.default_request())
    return shared | {
        "audits": queries.certified_audits(session, project.id),
        "admitted": len(sorted_out.admitted),
        "removed": dict(sorted_out.removed),
        "found": dict(sorted_out.found),
        "gates": [(gate, mode is Mode.BLOCK, MEANINGS[gate]) for gate, mode in DEFAULTS.items()],
        "tasks": [task.value for task in Task],
        "languages": INSTANCE_LANGUAGES,
    }


def _splits(test_share: str) -> dict[str, float]:
    try:
        share = float(test_share or 0)
    except ValueError:
        share = -1
    if not 0 <= share <= 90:
        raise InvalidInput("the share of the test split is from 0 to 90 percent", "test_share")
    return {"train": 1 - share / 100, "test": share / 100} if share else {}

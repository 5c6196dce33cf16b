"""Prompts: read, edited, looked at on real material, compared, switched. Every form works without JavaScript."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Form, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from app.code.difference import changed_lines
from app.errors import InvalidInput, NotFound
from app.pipeline import Task
from app.prompting.editing import faults, plain_newlines
from app.prompting.template import Template
from app.prompting.trying import Subject
from app.prompts import queries, service
from app.prompts.asking import AskedDesk, GivenDesks
from app.prompts.desks import Desk
from app.storage.replayed import needs_replay
from app.storage.tables import Project
from app.storage.versions import Chosen, chosen_in_force, versions_of
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role
from app.web.flash import see_other
from app.web.retry import page_router
from app.web.templating import render

router = page_router()

ADMIN = [require_role("admin")]
Version = Annotated[str | None, Query(max_length=20)]
SubjectNumber = Annotated[int | None, Query(ge=1, le=2**63 - 1)]

_TRIES_SHOWN = 5


@router.get("/prompts")
def prompts_page(
    request: Request, session: DbSession, project: CurrentProject, desks: GivenDesks
) -> HTMLResponse:
    """Which prompt of each task and stage is in force."""
    return render(
        request,
        "prompts/page.html",
        rows=[
            (task, [service.standing(session, project, desk, task) for desk in desks.values()])
            for task in Task
        ],
    )


@router.get("/prompts/{kind}/{task}")
def prompt_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    desk: AskedDesk,
    task: Task,
    version: Version = None,
    subject: SubjectNumber = None,
) -> HTMLResponse:
    """The newest version unless the address names another, as it would be sent about real material."""
    found = service.shown(session, project, desk, task, version)
    return render(
        request,
        "prompts/prompt.html",
        **_context(session, project, desk, task, found),
        **_preview(session, project, desk, task, found.template, person.id, subject),
        to_replay=needs_replay(session, project.id, service.to_replay(desk, found)),
        tries=queries.tries_of(session, project.id, found.template.name, _TRIES_SHOWN),
        schema=desk.schema(session, project.id, task),
    )


@router.get("/prompts/{kind}/{task}/edit", dependencies=ADMIN)
def edit_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    desk: AskedDesk,
    task: Task,
    version: Version = None,
) -> HTMLResponse:
    found = service.shown(session, project, desk, task, version)
    return _edit_page(request, session, project, desk, task, found, found.template.content)


@router.post("/prompts/{kind}/{task}/edit", dependencies=ADMIN)
def edit(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    desk: AskedDesk,
    task: Task,
    content: Annotated[str, Form(max_length=200_000)] = "",
    note: Annotated[str, Form(max_length=1000)] = "",
    do: Annotated[str, Form(max_length=20)] = "save",
    subject: Annotated[str, Form(max_length=20)] = "",
    version: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Look at what was typed without keeping it, or keep it as the next version."""
    base = service.shown(session, project, desk, task, version or None)
    typed = plain_newlines(content)
    problems = [fault.words for fault in faults(typed, desk.placeholders(task))]
    if problems:
        return _edit_page(
            request, session, project, desk, task, base, typed, 422, note=note, problems=problems
        )
    if do == "preview":
        written = service.checked(desk, task, typed)
        looked = _preview(session, project, desk, task, written, person.id, _number(subject))
        return _edit_page(request, session, project, desk, task, base, typed, note=note, **looked)
    try:
        saved = service.save_prompt(session, project, desk, task, typed, person.id, note)
    except InvalidInput as error:
        errors = {error.field or "content": str(error)}
        return _edit_page(request, session, project, desk, task, base, typed, 422, note=note, errors=errors)
    waits = "" if saved.is_in_force else " It is not in force yet."
    return see_other(f"{_address(desk, task)}?version={saved.key}", f"Saved: {saved.label}.{waits}")


@router.get("/prompts/{kind}/{task}/compare")
def compare(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    desk: AskedDesk,
    task: Task,
    left: Version = "shipped",
    right: Version = None,
) -> HTMLResponse:
    before = service.shown(session, project, desk, task, left)
    after = service.shown(session, project, desk, task, right)
    return render(
        request,
        "prompts/compare.html",
        **_context(session, project, desk, task, after),
        left=before,
        right=after,
        lines=changed_lines(before.template.content, after.template.content),
    )


@router.post("/prompts/{kind}/{task}/in-force", dependencies=ADMIN)
def switch(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    desk: AskedDesk,
    task: Task,
    version: Annotated[str, Form(max_length=20)],
    without_replay: Annotated[bool, Form()] = False,
) -> Response:
    found = service.switch_prompt(
        session, project, desk, task, version, person.id, without_replay=without_replay
    )
    return see_other(
        f"{_address(desk, task)}?version={found.key}",
        f"In force: {found.label} of {found.template.name}. Runs that have started keep theirs.",
    )


@router.get("/prompts/{kind}/{task}/try", dependencies=ADMIN)
def try_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    desk: AskedDesk,
    task: Task,
    version: Version = None,
) -> HTMLResponse:
    """What a try would ask and cost, before anybody starts it."""
    found = service.shown(session, project, desk, task, version)
    planned = service.plan_try(session, project, desk, task, found.key, person.id)
    return render(
        request, "prompts/try.html", **_context(session, project, desk, task, found), planned=planned
    )


@router.post("/prompts/{kind}/{task}/try", dependencies=ADMIN)
def start_try(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    desk: AskedDesk,
    task: Task,
    version: Annotated[str, Form(max_length=20)],
) -> Response:
    run = service.start_try(session, project, desk, task, version, person.id)
    return see_other(f"{_address(desk, task)}/tries/{run.id}", "The try is started.")


@router.get("/prompts/{kind}/{task}/tries/{run_id}", dependencies=ADMIN)
def tried_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    desk: AskedDesk,
    task: Task,
    run_id: int,
) -> HTMLResponse:
    if not 1 <= run_id < 2**63:
        raise NotFound(f"there is no try {run_id}")
    name = desk.shipped(task).name
    run = queries.try_of(session, project.id, name, run_id)
    found = service.shown(session, project, desk, task, run.params["version"])
    return render(
        request,
        "prompts/tried.html",
        **_context(session, project, desk, task, found),
        run=run,
        tried=service.tried(session, desk, run),
    )


def _address(desk: Desk, task: Task) -> str:
    return f"/prompts/{desk.kind}/{task}"


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _context(session: Session, project: Project, desk: Desk, task: Task, found: Chosen) -> dict[str, Any]:
    shipped = desk.shipped(task)
    return {
        "tasks": list(Task),
        "task": task,
        "desk": desk,
        "address": _address(desk, task),
        "shown": found,
        "force": chosen_in_force(session, project.id, shipped),
        "versions": versions_of(session, project.id, shipped.name),
        "placeholders": desk.placeholders(task),
    }


def _preview(
    session: Session,
    project: Project,
    desk: Desk,
    task: Task,
    written: Template,
    person_id: int,
    wanted: int | None,
) -> dict[str, Any]:
    """The prompt about the wanted subject, without one the first; or why there is none."""
    subjects, why_not = service.subjects_of(session, project, desk, task, person_id)
    chosen = _one_of(subjects, wanted)
    if chosen is None:
        return {"preview": None, "why_no_preview": why_not, "subjects": subjects, "price": None}
    previews = desk.previews(session, project.id, task, written, [chosen])
    return {
        "preview": previews[0],
        "why_no_preview": None,
        "subjects": subjects,
        "price": service.price_of(session, desk, previews),
    }


def _one_of(subjects: Sequence[Subject], wanted: int | None) -> Subject | None:
    if wanted is None:
        return subjects[0] if subjects else None
    found = next((one for one in subjects if one.subject_id == wanted), None)
    if found is None and subjects:
        raise NotFound(f"{wanted} is none of those to look at this prompt on")
    return found


def _edit_page(
    request: Request,
    session: Session,
    project: Project,
    desk: Desk,
    task: Task,
    base: Chosen,
    content: str,
    status: int = 200,
    **more: Any,
) -> HTMLResponse:
    context: dict[str, Any] = {
        "content": content,
        "note": "",
        "problems": [],
        "errors": {},
        "preview": None,
        "why_no_preview": None,
        "subjects": [],
        "price": None,
    }
    context |= _context(session, project, desk, task, base) | more
    return render(request, "prompts/edit.html", status=status, **context)

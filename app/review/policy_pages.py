"""Settings of reading: for the project, and which languages a person reads. Touches the browser."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Form, Request, Response
from fastapi.responses import HTMLResponse

from app.accounts.roles import Caller, role_in
from app.accounts.service import person_numbered
from app.errors import InvalidInput, NotFound
from app.pipeline import INSTANCE_LANGUAGES, Scope
from app.review.decision_queries import reasons_given
from app.review.overlap import Policy, Visible
from app.review.policy import languages_of, policy_of, save_languages, save_policy
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role
from app.web.flash import see_other
from app.web.retry import page_router
from app.web.templating import render

router = page_router()


@router.get("/settings/reading")
def reading_page(request: Request, session: DbSession, project: CurrentProject) -> HTMLResponse:
    return render(
        request,
        "review/reading.html",
        policy=policy_of(session, project.id),
        given=reasons_given(session, project.id),
        errors={},
    )


@router.post("/settings/reading", dependencies=[require_role("admin")])
def save_reading(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    overlap_percent: Annotated[int, Form()],
    overlap_readers: Annotated[int, Form()],
    skips_to_adjudicate: Annotated[int, Form()],
    opinions_visible: Annotated[Visible, Form()],
    skips_return: Annotated[bool, Form()] = False,
    speed_visible: Annotated[bool, Form()] = False,
) -> Response:
    wanted = Policy(
        overlap_percent, overlap_readers, skips_return, skips_to_adjudicate, opinions_visible, speed_visible
    )
    try:
        save_policy(session, person.id, project, wanted)
    except InvalidInput as error:
        given = reasons_given(session, project.id)
        errors = {error.field: str(error)}
        return render(request, "review/reading.html", status=422, policy=wanted, given=given, errors=errors)
    return see_other("/settings/reading", "Saved. It holds for what nobody has begun to read.")


@router.post("/settings/reading/languages/{person_id}", dependencies=[require_role("admin")])
def choose_languages_of(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    person_id: int,
    languages: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """A lead's choice for somebody of the project."""
    reader = person_numbered(session, person_id)
    if role_in(session, Caller(reader, Scope.ADMIN), project.id) is None:
        raise NotFound(f"{reader.name} has no role in this project")
    save_languages(session, person.id, project, person_id, languages or [])
    chosen = languages_of(session, project.id, person_id)
    return see_other("/quality", f"{reader.name} reads {_in_words(chosen)} now")


@router.get("/review/languages", dependencies=[require_role("annotator")])
def languages_page(
    request: Request, session: DbSession, project: CurrentProject, person: CurrentPerson
) -> HTMLResponse:
    chosen = languages_of(session, project.id, person.id) or INSTANCE_LANGUAGES
    return render(request, "review/languages.html", chosen=chosen, languages=INSTANCE_LANGUAGES)


@router.post("/review/languages", dependencies=[require_role("annotator")])
def choose_languages(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    languages: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """A person's own choice; leads choose for others on their page."""
    save_languages(session, person.id, project, person.id, languages or [])
    chosen = languages_of(session, project.id, person.id)
    return see_other("/review", f"You read {_in_words(chosen)} now")


def _in_words(languages: Sequence[str]) -> str:
    return ", ".join(languages) or "every language"

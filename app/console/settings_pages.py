"""The settings: project, guideline, projects, people, tokens, log. Reaches the world as `pages` does."""

from typing import Annotated

from fastapi import Form, Path, Query, Request, Response

from app.accounts import service as accounts
from app.accounts.log import log_entries
from app.accounts.roles import role_everywhere
from app.accounts.tokens import create_token, revoke_token, tokens
from app.console import queries, service
from app.errors import Conflict, InvalidInput, NotFound
from app.pipeline import Role, Scope
from app.web.admission import hashes_password
from app.web.dependencies import (
    CurrentPerson,
    CurrentProject,
    DbSession,
    MaybeProject,
    PageCaller,
    require_role,
    require_role_everywhere,
)
from app.web.flash import see_other
from app.web.pagination import AskedWindow, cut
from app.web.retry import page_router
from app.web.templating import render

router = page_router(prefix="/settings")

PersonId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Text = Annotated[str, Form()]
everywhere_admin = require_role_everywhere(Role.ADMIN)


# --- the project ------------------------------------------------------------------------------------------


@router.get("")
def project_page(request: Request, project: CurrentProject) -> Response:
    form = {
        "name": project.name,
        "description": project.description,
        "reasons": "\n".join(project.reasons),
        "allowed_licenses": " ".join(project.allowed_licenses or []),
    }
    return render(request, "console/project.html", form=form, errors={})


@router.post("", dependencies=[require_role(Role.ADMIN)])
def edit_project(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    name: Text = "",
    description: Text = "",
    reasons: Text = "",
    allowed_licenses: Text = "",
) -> Response:
    try:
        service.edit_project(
            session,
            person.id,
            project,
            name=name,
            description=description,
            reasons=reasons.splitlines(),
            allowed_licenses=allowed_licenses.split(),
        )
    except InvalidInput as error:
        form = {
            "name": name,
            "description": description,
            "reasons": reasons,
            "allowed_licenses": allowed_licenses,
        }
        return render(
            request, "console/project.html", status=422, form=form, errors={error.field: str(error)}
        )
    return see_other("/settings", "The project is saved.")


@router.get("/guideline")
def guideline_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    version: Annotated[int | None, Query(ge=1, le=2**31)] = None,
) -> Response:
    versions = queries.guideline_versions(session, project.id)
    shown = next((one for one, _ in versions if version in (None, one.version)), None)
    if version is not None and shown is None:
        raise NotFound(f"the guideline has no version {version}")
    return render(
        request,
        "console/guideline.html",
        versions=versions,
        shown=shown,
        markdown=shown.markdown if shown else "",
        errors={},
    )


@router.post("/guideline", dependencies=[require_role(Role.ADMIN)])
def save_guideline(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    markdown: Text = "",
) -> Response:
    try:
        version = service.save_guideline(session, person.id, project, markdown)
    except InvalidInput as error:
        versions = queries.guideline_versions(session, project.id)
        return render(
            request,
            "console/guideline.html",
            status=422,
            versions=versions,
            shown=versions[0][0] if versions else None,
            markdown=markdown,
            errors={error.field: str(error)},
        )
    return see_other("/settings/guideline", f"Version {version} of the guideline is in force.")


@router.get("/projects")
def projects_page(request: Request, session: DbSession, caller: PageCaller, seen: MaybeProject) -> Response:
    may_create = role_everywhere(session, caller) is Role.ADMIN
    return render(request, "console/projects.html", may_create=may_create, form={}, errors={})


@router.post("/projects", dependencies=[everywhere_admin])
def create_project(
    request: Request,
    session: DbSession,
    person: CurrentPerson,
    seen: MaybeProject,
    name: Text = "",
    description: Text = "",
) -> Response:
    try:
        project = service.create_project(session, person.id, name, description)
    except (InvalidInput, Conflict) as error:
        field = (error.field if isinstance(error, InvalidInput) else None) or "name"
        return render(
            request,
            "console/projects.html",
            status=409 if isinstance(error, Conflict) else 422,
            may_create=True,
            form={"name": name, "description": description},
            errors={field: str(error)},
        )
    return see_other(f"/?project={project.slug}", f"The project {project.name} is created.")


# --- people -----------------------------------------------------------------------------------------------


@router.get("/people", dependencies=[everywhere_admin])
def people_page(request: Request, session: DbSession, seen: MaybeProject) -> Response:
    return _people(request, session)


def _people(request: Request, session: DbSession, status: int = 200, **context: object) -> Response:
    shown = {
        "people": accounts.people(session),
        "all_projects": queries.all_projects(session),
        "roles": [role.value for role in Role],
        "form": {},
        "errors": {},
        "secret_of": None,
        "secret": None,
    }
    return render(request, "console/people.html", status=status, **(shown | context))


@router.post("/people", dependencies=[hashes_password, everywhere_admin])
def add_person(
    request: Request,
    session: DbSession,
    person: CurrentPerson,
    seen: MaybeProject,
    name: Text = "",
    role: Annotated[Role, Form()] = Role.ANNOTATOR,
    where: Text = "",
) -> Response:
    try:
        added = accounts.add_person(session, person.id, name, role, project_id=_project_id(session, where))
    except (InvalidInput, Conflict) as error:
        return _people(
            request,
            session,
            status=409 if isinstance(error, Conflict) else 422,
            form={"name": name, "role": role.value, "where": where},
            errors={"name": str(error)},
        )
    return _people(request, session, secret_of=added.person, secret=added.one_time)


@router.get("/people/{person_id}", dependencies=[everywhere_admin])
def person_page(request: Request, session: DbSession, seen: MaybeProject, person_id: PersonId) -> Response:
    return _person(request, session, person_id)


def _person(request: Request, session: DbSession, person_id: int, secret: str | None = None) -> Response:
    accounts.person_numbered(session, person_id)
    listed = next(one for one in accounts.people(session) if one.person.id == person_id)
    return render(
        request,
        "console/person.html",
        listed=listed,
        all_projects=queries.all_projects(session),
        roles=[role.value for role in Role],
        tokens=tokens(session, owner_id=person_id),
        secret=secret,
    )


@router.post("/people/{person_id}/roles", dependencies=[everywhere_admin])
def give_role(
    session: DbSession,
    person: CurrentPerson,
    person_id: PersonId,
    role: Annotated[Role, Form()],
    where: Text = "",
) -> Response:
    accounts.give_role(session, person.id, person_id, role, _project_id(session, where))
    return see_other(f"/settings/people/{person_id}", "The role is given.")


@router.post("/people/{person_id}/roles/remove", dependencies=[everywhere_admin])
def take_role(session: DbSession, person: CurrentPerson, person_id: PersonId, where: Text = "") -> Response:
    accounts.take_role(session, person.id, person_id, _project_id(session, where))
    return see_other(f"/settings/people/{person_id}", "The role is taken away.")


@router.post("/people/{person_id}/deactivate", dependencies=[everywhere_admin])
def deactivate(session: DbSession, person: CurrentPerson, person_id: PersonId) -> Response:
    accounts.deactivate_person(session, person.id, person_id)
    return see_other(f"/settings/people/{person_id}", "Deactivated, and signed out everywhere.")


@router.post("/people/{person_id}/reactivate", dependencies=[everywhere_admin])
def reactivate(session: DbSession, person: CurrentPerson, person_id: PersonId) -> Response:
    accounts.reactivate_person(session, person.id, person_id)
    return see_other(f"/settings/people/{person_id}", "Active again, with the same roles and password.")


@router.post("/people/{person_id}/password", dependencies=[hashes_password, everywhere_admin])
def reset_password(
    request: Request, session: DbSession, person: CurrentPerson, seen: MaybeProject, person_id: PersonId
) -> Response:
    return _person(request, session, person_id, accounts.reset_password(session, person.id, person_id))


def _project_id(session: DbSession, slug: str) -> int | None:
    """The project that a form names; "" stands for all of them."""
    if not slug:
        return None
    project = queries.project_named(session, slug)
    if project is None:
        raise InvalidInput(f"there is no project {slug}", "where")
    return project.id


# --- tokens -----------------------------------------------------------------------------------------------


@router.get("/tokens")
def tokens_page(request: Request, session: DbSession, caller: PageCaller, seen: MaybeProject) -> Response:
    return _tokens(request, session, caller)


def _tokens(
    request: Request, session: DbSession, caller: PageCaller, status: int = 200, **context: object
) -> Response:
    is_admin = role_everywhere(session, caller) is Role.ADMIN
    shown = {
        "tokens": tokens(session, owner_id=None if is_admin else caller.person.id),
        "scopes": [scope.value for scope in Scope],
        "form": {},
        "errors": {},
        "secret": None,
    }
    return render(request, "console/tokens.html", status=status, **(shown | context))


@router.post("/tokens")
def add_token(
    request: Request,
    session: DbSession,
    caller: PageCaller,
    seen: MaybeProject,
    name: Text = "",
    scope: Annotated[Scope, Form()] = Scope.READ,
) -> Response:
    try:
        secret = create_token(session, caller.person.id, caller.person, name, scope)
    except InvalidInput as error:
        form = {"name": name, "scope": scope.value}
        return _tokens(request, session, caller, 422, form=form, errors={error.field: str(error)})
    session.flush()
    return _tokens(request, session, caller, secret=secret)


@router.post("/tokens/{token_id}/revoke")
def end_token(session: DbSession, caller: PageCaller, token_id: PersonId) -> Response:
    is_admin = role_everywhere(session, caller) is Role.ADMIN
    revoke_token(session, caller.person.id, token_id, owner_id=None if is_admin else caller.person.id)
    return see_other("/settings/tokens", "The token is revoked; scripts that use it are refused from now on.")


# --- the log ----------------------------------------------------------------------------------------------


@router.get("/log", dependencies=[require_role(Role.ADMIN)])
def log_page(
    request: Request, session: DbSession, caller: PageCaller, project: CurrentProject, asked: AskedWindow
) -> Response:
    """Everything for administrators of all projects, the project's own entries for its administrators."""
    sees_all = role_everywhere(session, caller) is Role.ADMIN
    rows = log_entries(
        session,
        before=asked.after,
        limit=asked.limit + 1,
        project_id=None if sees_all else project.id,
    )
    entries, next_cursor = cut(rows, asked, lambda row: row[0].id)
    return render(request, "console/log.html", entries=entries, next_cursor=next_cursor, sees_all=sees_all)

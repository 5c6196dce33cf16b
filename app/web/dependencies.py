"""What a route asks for: a session of the database, who is there, which project, which role.

Pages:  def sources(request: Request, session: DbSession, project: CurrentProject) -> HTMLResponse
        @router.post("/sources", dependencies=[require_role(Role.ADMIN)])
API:    def runs(session: DbSession, project: ReadProject)           GET .../projects/{project}/runs
        def decide(session: DbSession, caller: ApiCaller, ...)       then `admit(session, caller, ...)`

A plain `def` runs in a thread, for those that ask the database; what only looks at what is there already is `async`,
which spares the way to a thread and back.

A session of the database is a place: whoever has one finds a thread and a connection, as there are more of both than
places, and whoever waits for one holds neither.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.accounts.roles import Caller, SeenProject, admit, admit_everywhere, demand, seen_projects
from app.accounts.sessions import SignedIn, keep_project, session_of
from app.accounts.tokens import caller_of_token
from app.errors import NotFound
from app.pipeline import Role, Scope
from app.storage.database import session_factory
from app.storage.tables import Person, Project
from app.web.admission import REQUESTS, SESSION_COOKIE, caller_of, make_known
from app.web.csrf import demand_csrf_token
from app.web.errors import Busy, NoProject, PasswordMustChange, SignInNeeded, Unauthenticated


async def open_session(request: Request) -> AsyncGenerator[Session]:
    """One transaction per request: committed before the answer is sent, unless the answer is an error."""
    async with REQUESTS.place(caller_of(request)) as has_waited:
        if has_waited and await request.is_disconnected():
            raise Busy  # nobody is there any more to read an answer
        session = session_factory()()
        is_good = False
        try:
            yield session
            is_good = not getattr(request.state, "refused", False)
        finally:
            await run_in_threadpool(_end, session, is_good)


def _end(session: Session, is_good: bool) -> None:
    with session:
        if is_good:
            session.commit()


# "function": the commit comes before the answer, so that what was answered is true.
DbSession = Annotated[Session, Depends(open_session, scope="function")]


# --- pages ------------------------------------------------------------------------------------------------


def signed_in(request: Request, session: DbSession) -> SignedIn | None:
    """Whoever holds the session cookie, if anybody; for pages that anybody may open.

    The projects that they may see are kept for the project switcher.
    """
    cookie = request.cookies.get(SESSION_COOKIE)
    found = session_of(session, cookie) if cookie else None
    if found is not None:
        make_known(request)
        request.state.person, request.state.sign_in = found
        request.state.projects = seen_projects(session, Caller(found.person, Scope.ADMIN))
    return found


async def checked_sign_in(
    request: Request, found: Annotated[SignedIn | None, Depends(signed_in)]
) -> SignedIn:
    """A signed-in person whose form carries the session's token. A page's own password is not asked here."""
    if found is None:
        raise SignInNeeded
    await demand_csrf_token(request, found.sign_in.csrf_token)
    return found


async def current_sign_in(request: Request, found: Annotated[SignedIn, Depends(checked_sign_in)]) -> SignedIn:
    """A signed-in person who has chosen a password; anybody else is sent to do so."""
    if found.person.must_change_password:
        raise PasswordMustChange
    return found


async def current_person(found: Annotated[SignedIn, Depends(current_sign_in)]) -> Person:
    return found.person


CurrentSignIn = Annotated[SignedIn, Depends(current_sign_in)]
CurrentPerson = Annotated[Person, Depends(current_person)]


async def page_caller(person: CurrentPerson) -> Caller:
    """A person at a page may do everything their roles allow."""
    return Caller(person, Scope.ADMIN)


PageCaller = Annotated[Caller, Depends(page_caller)]


async def seen_project(
    request: Request,
    session: DbSession,
    found: CurrentSignIn,
    wanted: Annotated[str | None, Query(alias="project", include_in_schema=False)] = None,
) -> SeenProject | None:
    """The project in the address, else the one looked at last, else the first. What is looked at is kept."""
    seen: list[SeenProject] = request.state.projects
    if not seen:
        return None
    if wanted is not None:
        chosen = next((one for one in seen if one.project.slug == wanted), None)
        if chosen is None:
            raise NotFound(f"there is no project {wanted}, or you may not see it")
    else:
        last = found.sign_in.project_id
        chosen = next((one for one in seen if one.project.id == last), seen[0])
    if chosen.project.id != found.sign_in.project_id:
        await run_in_threadpool(keep_project, session, found.sign_in, chosen.project.id)
    request.state.project, request.state.role = chosen
    return chosen


MaybeProject = Annotated[SeenProject | None, Depends(seen_project)]


async def current_seen_project(seen: MaybeProject) -> SeenProject:
    """As `seen_project`, for pages that mean nothing without a project."""
    if seen is None:
        raise NoProject
    return seen


CurrentSeenProject = Annotated[SeenProject, Depends(current_seen_project)]


async def current_project(seen: CurrentSeenProject) -> Project:
    return seen.project


async def current_role(seen: CurrentSeenProject) -> Role:
    return seen.role


CurrentProject = Annotated[Project, Depends(current_project)]
CurrentRole = Annotated[Role, Depends(current_role)]


def require_role(least: Role | str) -> Any:
    """For `dependencies=[...]` of a page: at least this role in the current project, else 403."""
    needed = Role(least)

    async def check(role: CurrentRole) -> None:
        demand(role, needed)

    return Depends(check)


def require_role_everywhere(least: Role | str) -> Any:
    """For `dependencies=[...]` of a page: at least this role in all projects, else 403."""
    needed = Role(least)

    def check(session: DbSession, caller: PageCaller) -> None:
        admit_everywhere(session, caller, needed)

    return Depends(check)


# --- API --------------------------------------------------------------------------------------------------

_bearer = HTTPBearer(
    auto_error=False, description="An API token, made in Settings or by `breakwater token create`"
)


def api_caller(
    request: Request,
    session: DbSession,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """Whom the bearer token acts as. A browser's own session may read: pages link to downloads."""
    if credentials is not None:
        caller = caller_of_token(session, credentials.credentials)
        if caller is None:
            raise Unauthenticated("this token is unknown or revoked")
        make_known(request)
        return caller
    found = signed_in(request, session) if request.method in {"GET", "HEAD"} else None
    if found is None or found.person.must_change_password:
        raise Unauthenticated("send a token: `Authorization: Bearer TOKEN`")
    return Caller(found.person, Scope.READ)


ApiCaller = Annotated[Caller, Depends(api_caller)]


def api_project(least: Role | str) -> Callable[..., Project]:
    """A dependency: the project named by `{project}` in the path, for callers with at least this role.

    404 for a project that the caller may not know, 403 where role or scope is too low.
    """
    needed = Role(least)

    def find(
        session: DbSession,
        caller: ApiCaller,
        slug: Annotated[str, Path(alias="project", description="The project's slug", examples=["demo"])],
    ) -> Project:
        project = session.scalars(select(Project).where(Project.slug == slug)).one_or_none()
        if project is None:
            raise NotFound(f"there is no project {slug}")
        try:
            admit(session, caller, project.id, needed)
        except NotFound:
            raise NotFound(f"there is no project {slug}") from None
        return project

    return find


ReadProject = Annotated[Project, Depends(api_project(Role.VIEWER))]
ReviewProject = Annotated[Project, Depends(api_project(Role.ANNOTATOR))]
AdminProject = Annotated[Project, Depends(api_project(Role.ADMIN))]

"""Signing in and out, one's own password, the colours, the reference of the REST interface."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Form, Request, Response

from app.accounts.log import log
from app.accounts.service import change_password, sign_in
from app.accounts.sessions import ABSOLUTE, SignedIn, close_session
from app.console.reference import operations_by_tag, schemas
from app.errors import DomainError, InvalidInput, TooManyAttempts
from app.settings import settings
from app.web.admission import SESSION_COOKIE, hashes_password
from app.web.csrf import anonymous_token, demand_anonymous_token, keep_anonymous_token, needs_https
from app.web.dependencies import DbSession, checked_sign_in, signed_in
from app.web.errors import HTTPS_NEEDED
from app.web.flash import see_other
from app.web.retry import page_router
from app.web.templating import THEME_COOKIE, THEMES, render
from app.web.throttling import sign_in_throttle

router = page_router()

MaybeSignedIn = Annotated[SignedIn | None, Depends(signed_in)]
CheckedSignIn = Annotated[SignedIn, Depends(checked_sign_in)]


@router.get("/signin")
def signin_page(request: Request, found: MaybeSignedIn, next: str = "/") -> Response:
    if found is not None:
        return see_other(_own_path(next))
    return _signin_form(request, next)


@router.post("/signin", dependencies=[Depends(demand_anonymous_token), hashes_password])
def signin(
    request: Request,
    session: DbSession,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    address = request.client.host if request.client else "local"
    try:
        opened = sign_in(session, sign_in_throttle(), name, password, address)
    except TooManyAttempts as error:
        response = _signin_form(request, next, status=429, name=name, error=error)
        response.headers["Retry-After"] = str(error.retry_after)
        return response
    except InvalidInput as error:
        return _signin_form(request, next, status=422, name=name, error=error)
    must_change = opened.person.must_change_password
    response = see_other(f"/password?next={_own_path(next)}" if must_change else _own_path(next))
    response.set_cookie(
        SESSION_COOKIE,
        opened.cookie,
        max_age=int(ABSOLUTE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=settings().cookies_are_secure,
    )
    return response


@router.post("/signout")
def signout(request: Request, session: DbSession, found: CheckedSignIn) -> Response:
    if close_session(session, found.sign_in):
        log(session, found.person.id, "signed out", found.person.name)
    response = see_other("/signin", "You are signed out.")
    response.delete_cookie(SESSION_COOKIE)
    return response


@router.get("/password")
def password_page(request: Request, found: CheckedSignIn, next: str = "/") -> Response:
    return render(request, "console/password.html", next=_own_path(next), errors={})


@router.post("/password", dependencies=[hashes_password])
def set_password(
    request: Request,
    session: DbSession,
    found: CheckedSignIn,
    password: Annotated[str, Form()] = "",
    again: Annotated[str, Form()] = "",
    old_password: Annotated[str | None, Form()] = None,
    next: Annotated[str, Form()] = "/",
) -> Response:
    try:
        if password != again:
            raise InvalidInput("the two are not the same", "again")
        change_password(session, found.person, old_password, password, found.sign_in)
    except InvalidInput as error:
        errors = {error.field: str(error)}
        return render(request, "console/password.html", status=422, next=_own_path(next), errors=errors)
    return see_other(_own_path(next), "Your password is changed. You are signed out everywhere else.")


@router.post("/theme")
def set_theme(
    found: CheckedSignIn, theme: Annotated[str, Form()] = "system", back: Annotated[str, Form()] = "/"
) -> Response:
    if theme not in THEMES:
        raise InvalidInput("the colours are light, dark or system", "theme")
    response = see_other(_own_path(back))
    response.set_cookie(THEME_COOKIE, theme, max_age=365 * 86400, httponly=True, samesite="lax")
    return response


@router.get("/api/v1/docs")
def reference_page(request: Request, found: MaybeSignedIn) -> Response:
    document: dict[str, Any] = request.app.openapi()
    return render(
        request,
        "console/reference.html",
        document=document,
        groups=operations_by_tag(document),
        schemas=schemas(document),
    )


def _signin_form(
    request: Request, next: str, *, status: int = 200, name: str = "", error: DomainError | None = None
) -> Response:
    token = anonymous_token(request)
    response = render(
        request,
        "console/signin.html",
        status=status,
        form_token=token,
        next=_own_path(next),
        name=name,
        error=error,
        warning=HTTPS_NEEDED if needs_https(request) else None,
    )
    keep_anonymous_token(response, token)
    return response


def _own_path(address: str) -> str:
    """Only a path of ours: a link to sign-in must not lead people elsewhere."""
    parts = urlsplit(address)
    is_ours = not parts.scheme and not parts.netloc and address.startswith("/") and "\\" not in address
    return address if is_ours and not address.startswith("//") and address.isprintable() else "/"

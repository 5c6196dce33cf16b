"""One table from errors to status codes: problem+json (RFC 9457) below /api, pages elsewhere."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import psycopg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from psycopg import errors
from redis.exceptions import RedisError
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError
from starlette.exceptions import HTTPException

from app.errors import (
    Conflict,
    DomainError,
    Forbidden,
    InvalidInput,
    NotFound,
    TooLarge,
    TooManyAttempts,
    Unparsable,
)
from app.storage.faults import ServerFault, server_fault
from app.web.forms import whole
from app.web.templating import is_htmx, render

_log = structlog.get_logger()


class SignInNeeded(Exception):
    """A page that only signed-in people may open."""


class PasswordMustChange(Exception):
    """The person signed in with a one-time password."""


class NoProject(NotFound):
    """The person may see no project yet."""

    def __init__(self) -> None:
        super().__init__("there is no project that you may see yet")


class Unauthenticated(DomainError):
    """No token, or not a good one."""


class Busy(DomainError):
    """More is asked at once than can be answered in good time."""

    def __init__(self) -> None:
        super().__init__(
            "more is asked at once than can be answered; nothing was changed, try again in a few seconds"
        )


class CsrfMissing(Forbidden):
    """A form without the session's token."""

    def __init__(self) -> None:
        super().__init__(
            "This form was opened before you signed in, or it was sent from another site, so nothing was "
            "changed. Go back, reload the page and send it again."
        )


RETRY_AFTER_S = "5"
MOST_FIELDS = 20  # of a refusal: whoever sent more wrong ones sees the rest next time
MOST_CHARACTERS = 300


class HttpsNeeded(Forbidden):
    """A form over plain http, where browsers may send our cookies over https only."""

    def __init__(self) -> None:
        super().__init__(HTTPS_NEEDED)


class Refusal(NamedTuple):
    """An error as it is told: what happened, where, and headers that go with it."""

    status: int
    detail: str
    fields: tuple[tuple[str, str], ...] = ()  # (field, what is wrong with it)
    headers: Mapping[str, str] | None = None
    title: str | None = None  # of a page, where the usual one of its status says too little


STATUS_OF: dict[type[DomainError], int] = {
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    InvalidInput: 422,
    Unparsable: 422,
    TooManyAttempts: 429,
    Busy: 503,
}


def refusal_of(error: DomainError) -> Refusal:
    status = next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)
    match error:
        case InvalidInput(field=str(field)):
            return Refusal(status, str(error), ((field, str(error)),))
        case TooManyAttempts():
            return Refusal(status, str(error), headers={"Retry-After": str(error.retry_after)})
        case Busy():
            return Refusal(status, str(error), headers={"Retry-After": RETRY_AFTER_S})
        case Unauthenticated():
            return Refusal(status, str(error), headers={"WWW-Authenticate": "Bearer"})
        case _:
            return Refusal(status, str(error))


def refusal_of_server(fault: ServerFault) -> Refusal:
    """What a server or a disk below us refuses, with when to come back where waiting helps."""
    if fault.retry_after is None or fault.status < 500:
        return Refusal(fault.status, f"{fault.says}; {NOTHING_CHANGED}", title=fault.title)
    later = "try again in a few seconds" if fault.retry_after <= 10 else "try again later"
    headers = {"Retry-After": str(fault.retry_after)}
    return Refusal(
        fault.status, f"{fault.says}; {NOTHING_CHANGED}, {later}", headers=headers, title=fault.title
    )


def invalid_request(error: RequestValidationError) -> Refusal:
    """FastAPI's own checks, in our words: `k: Input should be greater than 0`."""
    found = error.errors()
    fields = tuple((_field_name(one["loc"]), _shortened(str(one["msg"]))) for one in found[:MOST_FIELDS])
    detail = "; ".join(f"{field}: {message}" for field, message in fields)
    more = len(found) - len(fields)
    return Refusal(422, f"{detail}; and {more:,} more" if more else detail, fields)


def _field_name(location: tuple[int | str, ...]) -> str:
    """("body", "tasks", 0) -> "tasks.0"; a body that is no JSON is called "body"."""
    where = [str(part) for part in location]
    if where[0] == "body" and (len(where) == 1 or where[1].isdigit()):
        return "body"
    return _shortened(".".join(where[1:]) or where[0])


def _shortened(text: str) -> str:
    """What somebody sent comes back in a refusal only as far as it helps to find it."""
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def answer(request: Request, refusal: Refusal) -> Response:
    """The refusal in the form that the caller reads: JSON, a message for htmx, or a page."""
    request.state.refused = True
    refusal = refusal._replace(
        detail=whole(refusal.detail),
        fields=tuple((whole(field), whole(detail)) for field, detail in refusal.fields),
    )
    if request.url.path.startswith("/api/"):
        return _problem(request, refusal)
    response = _error_page(request, refusal)
    response.headers.update(refusal.headers or {})
    return response


def _problem(request: Request, refusal: Refusal) -> Response:
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(refusal.status).phrase,
        "status": refusal.status,
        "detail": refusal.detail,
        "instance": request.url.path,
    }
    if refusal.fields:
        problem["errors"] = [{"field": field, "detail": detail} for field, detail in refusal.fields]
    return JSONResponse(problem, refusal.status, refusal.headers, media_type="application/problem+json")


TITLES = {
    403: "You may not do this",
    404: "There is nothing here",
    405: "This address does not take that",
    409: "Somebody or something was faster",
    413: "Too large",
    422: "Something is missing or wrong",
    429: "Too many attempts",
    500: "Something broke on our side",
    503: "Not ready yet",
    507: "There is no room left",
}


def _error_page(request: Request, refusal: Refusal) -> HTMLResponse:
    usual = TITLES.get(refusal.status) or HTTPStatus(refusal.status).phrase
    context = {"title": refusal.title or usual, "refusal": refusal}
    if is_htmx(request):
        # The page stays as it is; the message appears at its top.
        response = render(request, "errors/_message.html", status=refusal.status, **context)
        response.headers.update({"HX-Retarget": "#messages", "HX-Reswap": "innerHTML"})
        return response
    return render(request, "errors/page.html", status=refusal.status, **context)


def redirect_page(request: Request, address: str) -> Response:
    """Send the browser elsewhere; htmx is told by a header, or it would swap the page in."""
    if is_htmx(request):
        return Response(status_code=204, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


def path_to_return_to(request: Request) -> str:
    """Where the person was: this address, or the page that a form or a fragment was on."""
    if request.method == "GET" and not is_htmx(request):
        return request.url.path + (f"?{request.url.query}" if request.url.query else "")
    page = urlsplit(request.headers.get("HX-Current-URL") or request.headers.get("Referer") or "/")
    return page.path + (f"?{page.query}" if page.query else "")


def refusal_of_lost(error: Exception) -> Refusal | None:
    """How a request is refused that others were faster than, however often it was tried (`retry`).

    None for what is no such thing.
    """
    cause = error.orig if isinstance(error, DBAPIError) else None
    match cause:
        case errors.CheckViolation():
            return Refusal(422, f"a value of the {_thing_in(cause)} is not one that is allowed there")
        case errors.UniqueViolation():
            return Refusal(409, f"another request has just made the same {_thing_in(cause)}; {LOOK_AGAIN}")
        case errors.ForeignKeyViolation():
            return Refusal(409, f"something that the {_thing_in(cause)} needs has just gone; {LOOK_AGAIN}")
        case errors.DeadlockDetected() | errors.SerializationFailure():
            return Refusal(409, f"others are changing the same at this moment; {LOOK_AGAIN}")
        case None if isinstance(error, StaleDataError | ObjectDeletedError):
            return Refusal(409, f"another request has just removed what this one was about; {LOOK_AGAIN}")
        case _:
            return None


def _thing_in(error: errors.Error) -> str:
    """What the table's rows are called: `bulk_action` -> bulk action."""
    return (error.diag.table_name or "row").replace("_", " ")


def sign_in_redirect(request: Request) -> Response:
    return redirect_page(request, f"/signin?next={quote(path_to_return_to(request), safe='/')}")


def add_error_pages(app: FastAPI) -> None:
    """Register the table. What is not in it is caught, logged and answered by `request_log`."""

    @app.exception_handler(DomainError)
    async def domain(request: Request, error: DomainError) -> Response:
        return answer(request, refusal_of(error))

    @app.exception_handler(NoProject)
    async def no_project(request: Request, error: NoProject) -> Response:
        request.state.refused = True
        return render(request, "errors/no_project.html", status=404)

    @app.exception_handler(SignInNeeded)
    async def sign_in_needed(request: Request, error: SignInNeeded) -> Response:
        return sign_in_redirect(request)

    @app.exception_handler(PasswordMustChange)
    async def password_must_change(request: Request, error: PasswordMustChange) -> Response:
        return redirect_page(request, f"/password?next={quote(path_to_return_to(request), safe='/')}")

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return answer(request, invalid_request(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        fault = server_fault(error.__cause__) if error.__cause__ is not None else None
        if fault is not None:  # FastAPI says of a body that could not be kept that it could not be read
            return server_refusal(request, error.__cause__ or error, fault)
        detail = (
            NO_SUCH_PAGE if error.status_code == 404 and error.detail == "Not Found" else str(error.detail)
        )
        return answer(request, Refusal(error.status_code, detail, headers=error.headers))

    @app.exception_handler(DataError)
    @app.exception_handler(UnicodeEncodeError)
    async def unstorable(request: Request, error: Exception) -> Response:
        _log.info("unstorable_value", error=str(error))
        return answer(request, Refusal(422, UNSTORABLE))

    @app.exception_handler(DBAPIError)
    @app.exception_handler(StaleDataError)
    @app.exception_handler(ObjectDeletedError)
    @app.exception_handler(PoolTimeout)
    @app.exception_handler(psycopg.Error)
    @app.exception_handler(RedisError)
    @app.exception_handler(OSError)
    async def server(request: Request, error: Exception) -> Response:
        if refusal := refusal_of_lost(error):
            _log.info("refused_by_the_database", error=str(error))
            return answer(request, refusal)
        fault = server_fault(error)
        if fault is None:
            raise error  # a mistake of ours, then: for the last net
        return server_refusal(request, error, fault)


def server_refusal(request: Request, error: BaseException, fault: ServerFault) -> Response:
    cause = error.orig if isinstance(error, DBAPIError) else error
    _log.error("server_fault", kind=fault.kind, says=fault.says, error=str(cause))
    return answer(request, refusal_of_server(fault))


NO_SUCH_PAGE = "There is no such address. Perhaps a letter is missing in it, or the thing was moved."
UNSTORABLE = "a value cannot be stored: a number out of range, a NUL character or half a character"
NOTHING_CHANGED = "nothing was changed"
HTTPS_NEEDED = (
    "Breakwater runs in production mode, where browsers send its cookies over https only, and this page came over"
    " plain http: signing in cannot work like this. Open it at its https address. If a proxy does https already, have"
    " it send X-Forwarded-Proto; in a network that you trust, SECURE_COOKIES=false allows plain http."
)
LOOK_AGAIN = "nothing was changed: look again, and send it once more if it is still wanted"
BROKEN = "nothing was changed; the log of the server says what happened, under request"

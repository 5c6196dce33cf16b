"""One message for the next page, carried by a cookie: `return see_other("/sources", "Source added")`."""

from typing import NamedTuple

from fastapi import Request
from fastapi.responses import RedirectResponse

from app.settings import settings
from app.web.forms import is_whole
from app.web.opaque import opaque, read_opaque

FLASH_COOKIE = "breakwater_message"
MOST_CHARACTERS = 500
KINDS = ("ok", "warn", "bad")


class Flash(NamedTuple):
    text: str
    kind: str  # ok, warn or bad


def see_other(address: str, message: str | None = None, kind: str = "ok") -> RedirectResponse:
    """Answer a form: go to this page, and say there what happened."""
    response = RedirectResponse(address, 303)
    if message is not None:
        response.set_cookie(
            FLASH_COOKIE,
            opaque([message[:MOST_CHARACTERS], kind]),
            max_age=60,
            httponly=True,
            samesite="lax",
            secure=settings().cookies_are_secure,
        )
    return response


def flash_of(request: Request) -> Flash | None:
    """The message that waits; a cookie that is not ours is nothing."""
    cookie = request.cookies.get(FLASH_COOKIE)
    if not cookie:
        return None
    try:
        value = read_opaque(cookie)
    except ValueError:
        return None
    match value:
        case [str(text), str(kind)] if kind in KINDS and is_whole(text):
            return Flash(text[:MOST_CHARACTERS], kind)
        case _:
            return None

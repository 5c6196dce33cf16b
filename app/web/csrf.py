"""Requests that change something prove that they come from our own page.

The token is bound to the session's row. htmx sends it in a header (`hx-headers` on the body), plain forms in
a hidden field: `{{ csrf_field(csrf_token) }}` of `components/layout.html`. Before anybody is signed in, a
cookie and the form must hold the same value.
"""

import hmac
import secrets

from fastapi import Request, Response

from app.settings import settings
from app.web.errors import CsrfMissing, HttpsNeeded

CSRF_FIELD = "csrf_token"
CSRF_HEADER = "X-CSRF-Token"
ANONYMOUS_COOKIE = "breakwater_form"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def demand_csrf_token(request: Request, expected: str) -> None:
    """Raises CsrfMissing unless the request is a reading one or carries the token."""
    if request.method in SAFE_METHODS:
        return
    sent = request.headers.get(CSRF_HEADER) or await _form_field(request)
    if sent is None or not hmac.compare_digest(sent.encode(), expected.encode()):
        raise CsrfMissing


async def demand_anonymous_token(request: Request) -> None:
    """A dependency for forms of people who are not signed in. Raises HttpsNeeded where no cookie can have come."""
    if needs_https(request):
        raise HttpsNeeded
    await demand_csrf_token(request, request.cookies.get(ANONYMOUS_COOKIE) or secrets.token_urlsafe())


def needs_https(request: Request) -> bool:
    """Whether our cookies are lost on the way: they are for https only, and this request came without one over http.

    Browsers send `Sec-Fetch-Site` only where such cookies work: over https, whatever a proxy says, or to themselves.
    """
    return (
        settings().cookies_are_secure
        and request.url.scheme == "http"
        and request.headers.get("X-Forwarded-Proto", "").lower() != "https"
        and "Sec-Fetch-Site" not in request.headers
        and ANONYMOUS_COOKIE not in request.cookies
    )


def anonymous_token(request: Request) -> str:
    """The value for the form; `keep_anonymous_token` puts the same one into the cookie."""
    return request.cookies.get(ANONYMOUS_COOKIE) or secrets.token_urlsafe()


def keep_anonymous_token(response: Response, token: str) -> None:
    response.set_cookie(
        ANONYMOUS_COOKIE, token, httponly=True, samesite="strict", secure=settings().cookies_are_secure
    )


async def _form_field(request: Request) -> str | None:
    content_type = request.headers.get("Content-Type", "")
    if not content_type.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        return None
    value = (await request.form()).get(CSRF_FIELD)
    return value if isinstance(value, str) else None

"""How large a request may be, and from whom: nobody fills memory or the disk before it is known who is there.

A small body is taken from anybody. A larger one, or one that does not say its length, is taken only from somebody who
is signed in or has a token, a file beyond `MOST_BYTES` only from an administrator and where files are uploaded. Whoever
else sends one is answered before its first byte is read, and the connection ends.
"""

import asyncio
import re
from collections.abc import Callable
from typing import NamedTuple

from fastapi import Request, Response
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from app.accounts.roles import Caller, seen_projects
from app.accounts.sessions import session_of
from app.accounts.tokens import caller_of_token
from app.errors import DomainError, Forbidden, TooLarge
from app.pipeline import Role, Scope
from app.storage.database import session_factory
from app.storage.faults import AWAY, server_fault
from app.web.admission import LARGE_BODIES, REQUESTS, SESSION_COOKIE, caller_of, make_known
from app.web.errors import (
    SignInNeeded,
    Unauthenticated,
    answer,
    refusal_of,
    server_refusal,
    sign_in_redirect,
)

SMALL_BYTES = 64 * 2**10
MOST_BYTES = 10 * 2**20
MOST_SECONDS = 60.0
"""For a body to be whole, files apart: a few bytes now and then would hold its connection for ever."""

UPLOADS = re.compile(r"/sources|/imports/new|/api/v1/projects/[^/]+/(sources|imports)")


class _Limit(NamedTuple):
    most_bytes: int
    is_upload: bool  # goes to disk as it comes, however long that takes


class BodyLimit:
    """Answers 413 as soon as the announced or the read length is beyond the limit, 408 to a body that does not end."""

    def __init__(self, app: ASGIApp, most_upload_bytes: int) -> None:
        self.app = app
        self.most_upload_bytes = most_upload_bytes

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        length = announced_length(request.headers)
        if length is not None and length <= SMALL_BYTES:
            body = _Body(receive, send, _Limit(SMALL_BYTES, is_upload=False), is_whole=length == 0)
            await self.app(scope, body.receive, body.send)
            return
        try:
            limit = await self._limit_for(request, length)
            body = _Body(receive, send, limit, is_large=True)
            if limit.is_upload:
                await self.app(scope, body.receive, body.send)
                return
            async with LARGE_BODIES.place(caller_of(request)):
                await self.app(scope, body.receive, body.send)
        except (DomainError, SignInNeeded, OperationalError) as error:
            refused = _Body(receive, send, _Limit(0, is_upload=False), is_large=True)
            await _told(request, error)(scope, refused.receive, refused.send)

    async def _limit_for(self, request: Request, length: int | None) -> _Limit:
        """Raises TooLarge, Unauthenticated, SignInNeeded or Forbidden, without a look at the body."""
        is_upload = _is_upload(request)
        most = self.most_upload_bytes if is_upload else MOST_BYTES
        if length is not None and length > most:
            raise TooLarge(_too_large(most))
        async with REQUESTS.place(caller_of(request)):
            is_admin = await run_in_threadpool(_is_admin_somewhere, request)
        if is_upload and not is_admin:
            if length is None or length > MOST_BYTES:
                raise Forbidden("only administrators of a project bring files as large as this")
            most = MOST_BYTES
        return _Limit(most, is_upload)


class _Body:
    """What is read of a request's body and answered to it, under a limit."""

    def __init__(
        self, receive: Receive, send: Send, limit: _Limit, *, is_large: bool = False, is_whole: bool = False
    ) -> None:
        self._receive, self._send, self._limit = receive, send, limit
        self._is_large = is_large
        self._is_whole = is_whole
        self._read = 0
        self._deadline = None if limit.is_upload else asyncio.get_running_loop().time() + MOST_SECONDS

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            self._is_large = True  # nobody waits for its rest either
            raise HTTPException(408, f"a request has to be whole within {MOST_SECONDS:g} s") from None
        self._read += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._read > self._limit.most_bytes:
            raise HTTPException(413, _too_large(self._limit.most_bytes))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._is_large and not self._is_whole:
            MutableHeaders(scope=message)["Connection"] = "close"  # rather than read on to the next request
        await self._send(message)


def announced_length(headers: Headers) -> int | None:
    """How many bytes a body says it has; None where it does not say so (RFC 9112, 6.3)."""
    if "Transfer-Encoding" in headers:
        return None
    said = headers.get("Content-Length", "0")
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 19 else None


def _is_upload(request: Request) -> bool:
    is_form = request.headers.get("Content-Type", "").startswith("multipart/form-data")
    return is_form and request.method == "POST" and UPLOADS.fullmatch(request.url.path) is not None


def _is_admin_somewhere(request: Request) -> bool:
    """Raises Unauthenticated or SignInNeeded where nobody is there. Its session ends with it."""
    look_up: Callable[[Session, Request], Caller] = (
        _token_holder if request.url.path.startswith("/api/") else _cookie_holder
    )
    with session_factory()() as session:
        caller = look_up(session, request)
        make_known(request)
        return any(one.role is Role.ADMIN for one in seen_projects(session, caller))


def _token_holder(session: Session, request: Request) -> Caller:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    caller = caller_of_token(session, token.strip()) if scheme.lower() == "bearer" else None
    if caller is None:
        raise Unauthenticated("send a token: `Authorization: Bearer TOKEN`")
    return caller


def _cookie_holder(session: Session, request: Request) -> Caller:
    cookie = request.cookies.get(SESSION_COOKIE)
    found = session_of(session, cookie) if cookie else None
    if found is None:
        raise SignInNeeded
    return Caller(found.person, Scope.ADMIN)


def _told(request: Request, error: DomainError | SignInNeeded | OperationalError) -> Response:
    match error:
        case SignInNeeded():
            return sign_in_redirect(request)
        case OperationalError():
            return server_refusal(request, error, server_fault(error) or AWAY)
        case DomainError():
            return answer(request, refusal_of(error))


def _too_large(most: int) -> str:
    return f"this request may have at most {most:,} bytes"

"""The gates of this process: how much is answered at once, and who counts as one caller.

What is answered is mostly Python, and only one thread of a process runs Python at a time: more at once would be no
faster, and the event loop, which answers `/healthz`, would come to its turn later.
"""

from collections.abc import AsyncGenerator

from fastapi import Depends, Request

from app.accounts.secrets import hash_of
from app.web.gate import Gate

SESSION_COOKIE = "breakwater_session"

PLACES = 12
REQUESTS = Gate(PLACES, each=4)
"""Requests with a session of the database. AnyIO has 40 threads, and the pool of connections more than places."""

PASSWORDS = Gate(2)
"""Requests that hash a password: each takes 64 MiB, and four threads of its own."""

PROBES = Gate(2)
"""`/readyz` and `/metrics`, which ask without a session of their own; they come in for everybody in turn."""

LARGE_BODIES = Gate(4, each=2)
"""Bodies that are held in memory and worked through by the event loop."""

STREAMS = Gate(1_000, each=400, most_waiting=0)
"""Open event streams."""

TELLING = Gate(2, most_waiting=2_000, patience_s=600.0)
"""Open streams that look up what moved; all of them hear of it at once."""

_MOST_KNOWN = 10_000
_known: set[str] = set()


def caller_of(request: Request) -> str:
    """Whose line a request stands in: that of its token or cookie where it was good lately, else of its address.

    Made-up tokens and cookies are therefore one caller, however many somebody makes up.
    """
    credential = _credential(request)
    if credential is not None and (key := hash_of(credential)) in _known:
        return key
    return request.client.host if request.client else "local"


def make_known(request: Request) -> None:
    """The request's token or cookie was looked up and is good: from now on it has a line of its own."""
    credential = _credential(request)
    if credential is None:
        return
    if len(_known) >= _MOST_KNOWN:
        _known.clear()  # the next request of each makes it known again
    _known.add(hash_of(credential))


def _credential(request: Request) -> str | None:
    return request.headers.get("Authorization") or request.cookies.get(SESSION_COOKIE)


async def _probe_place() -> AsyncGenerator[None]:
    async with PROBES.place("all"):
        yield


async def _password_place(request: Request) -> AsyncGenerator[None]:
    async with PASSWORDS.place(caller_of(request)):
        yield


async def _stream_place(request: Request) -> AsyncGenerator[None]:
    async with STREAMS.place(caller_of(request)):
        yield


# For `dependencies=[...]` of a route. They come before its session, so that whoever waits here holds no place there.
probes = Depends(_probe_place, scope="function")
hashes_password = Depends(_password_place, scope="function")
streams = Depends(_stream_place, scope="request")  # until the stream has ended

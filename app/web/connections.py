"""Connections that end when the other side lets us wait. Touches sockets: uvicorn has no such limits of its own.

`uvicorn --http app.web.connections:Connection`
"""

import asyncio
import resource
from functools import lru_cache
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 2_000
OTHER_FILES = 200
"""Descriptors left for the database, the logs, uploads and files that are sent."""


@lru_cache
def most_connections() -> int:
    """How many may be open at once. Has this process be allowed that many files, where it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + OTHER_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed - OTHER_FILES


class Connection(H11Protocol):
    """One connection. Where there are too many, the one we have waited for longest makes room for the new one."""

    head_s = (
        10.0  # for the whole head of a request, from its first byte or from the opening of the connection
    )
    body_s = 30.0  # between two pieces of a body
    take_s = 60.0  # until something of an answer is taken

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waited_for_since: float | None = None  # by the loop's clock; None while we are at work for it
        self._limit: float | None = None  # seconds until it ends
        self._clock: asyncio.TimerHandle | None = None
        self._is_new = True  # no head came yet

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_clock()
        if len(self.connections) > most_connections():
            _longest_waited_for(self.connections).end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._is_new = self._is_new and self._is_between_requests
        self._set_clock()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._set_clock()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._set_clock()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set_clock()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._set_clock()

    def end(self) -> None:
        """At once, whatever is under way."""
        self._stop_clock()
        self.connections.discard(self)
        self.transport.abort()

    def _set_clock(self) -> None:
        limit = self._limit_now()
        if limit == self._limit == self.head_s:
            return  # in however many pieces it comes
        self._stop_clock()
        self._limit = limit
        if limit is not None:
            self._clock = self.loop.call_later(limit, self._time_is_up)
        if limit is not None or self._is_between_requests:
            self.waited_for_since = self.loop.time()

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self._clock = self._limit = self.waited_for_since = None

    def _limit_now(self) -> float | None:
        """By what the other side owes us: taking an answer, more of a body, the rest of a head."""
        if self.flow.write_paused or (self.transport.is_closing() and self.transport.get_write_buffer_size()):
            return self.take_s
        if self.conn.their_state is h11.SEND_BODY:
            return self.body_s
        has_begun = self._is_new or bool(self.conn.trailing_data[0])  # else uvicorn's keep-alive ends it
        return self.head_s if self._is_between_requests and has_begun else None

    @property
    def _is_between_requests(self) -> bool:
        return self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE

    def _time_is_up(self) -> None:
        if self._limit == self.body_s and self.flow.read_paused:
            self._clock = self.loop.call_later(self.body_s, self._time_is_up)  # it is we who do not read on
        else:
            self.end()


def _longest_waited_for(connections: set[Any]) -> Connection:
    """Among them is always the one that has just come."""
    waited_for = [
        one for one in connections if isinstance(one, Connection) and one.waited_for_since is not None
    ]
    return min(waited_for, key=lambda one: one.waited_for_since or 0.0)

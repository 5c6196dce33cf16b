"""Run progress as server-sent events. Touches Postgres: one listening connection for the whole process.

The listener's thread wakes the streams; a stream holds no session while it waits.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from functools import lru_cache

import psycopg
import structlog
from sqlalchemy import make_url
from starlette.concurrency import run_in_threadpool

from app.engine.runs import RUN_CHANNEL, progress_of
from app.runs.service import shape_of
from app.settings import settings
from app.storage.database import session_factory
from app.storage.tables import Run
from app.web.admission import TELLING

_QUIET_S = 15.0  # a comment at least this often, so that proxies keep the stream open
_GATHER_S = 0.5  # a busy run is told twice a second, not once a call

_log = structlog.get_logger()


class _Listener:
    """Hears which runs move and tells every open stream."""

    def __init__(self) -> None:
        self._streams: set[tuple[asyncio.AbstractEventLoop, asyncio.Queue[int]]] = set()
        threading.Thread(target=self._listen, name="run-events", daemon=True).start()

    def subscribe(self) -> tuple[asyncio.AbstractEventLoop, asyncio.Queue[int]]:
        stream = (asyncio.get_running_loop(), asyncio.Queue[int]())
        self._streams.add(stream)
        return stream

    def unsubscribe(self, stream: tuple[asyncio.AbstractEventLoop, asyncio.Queue[int]]) -> None:
        self._streams.discard(stream)

    def _listen(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self._hear()
            except psycopg.Error as error:
                _log.warning("run_events_interrupted", error=str(error))
                pause.wait(2)

    def _hear(self) -> None:
        url = make_url(settings().database_url or "").set(drivername="postgresql")
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(f"LISTEN {RUN_CHANNEL}")
            for notification in connection.notifies():
                for loop, heard in tuple(self._streams):
                    loop.call_soon_threadsafe(heard.put_nowait, int(notification.payload))


@lru_cache
def _listener() -> _Listener:
    return _Listener()


async def stream(project_ids: Collection[int], is_gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
    """Events of the runs of these projects until the reader is gone."""
    subscription = _listener().subscribe()
    heard = subscription[1]
    yield ": listening\n\n"
    try:
        while not await is_gone():
            try:
                moved = {await asyncio.wait_for(heard.get(), _QUIET_S)}
            except TimeoutError:
                yield ": still here\n\n"
                continue
            await asyncio.sleep(_GATHER_S)
            while not heard.empty():
                moved.add(heard.get_nowait())
            async with TELLING.place("all"):
                lines = await run_in_threadpool(_told, moved, project_ids)
            for line in lines:
                yield line
    finally:
        _listener().unsubscribe(subscription)


def _told(run_ids: Collection[int], project_ids: Collection[int]) -> list[str]:
    with session_factory()() as session:
        runs = [session.get(Run, run_id) for run_id in sorted(run_ids)]
        return [
            f"event: run\ndata: {shape_of(run, progress_of(session, run)).model_dump_json()}\n\n"
            for run in runs
            if run is not None and run.project_id in project_ids
        ]

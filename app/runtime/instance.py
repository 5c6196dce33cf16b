"""The processes of one Breakwater: what is started with which command and environment, and in which order."""

import os
import signal
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from app.runtime import processes
from app.runtime.embedded import Servers, servers_of
from app.runtime.home import Home, InUse, Running
from app.runtime.processes import Child
from app.settings import Settings, settings
from app.storage import database
from app.storage.migrations import migrate

# docker-compose.yml starts the same commands in containers; change both.
WORKER = "-m celery -A workers.tasks worker --without-gossip --without-mingle --loglevel WARNING"
WORKERS = {
    "worker-llm": f"{WORKER} --queues llm --concurrency 2 --hostname llm@%h",
    "worker-cpu": f"{WORKER} --queues cpu --concurrency 1 --hostname cpu@%h",
}
BEAT = "-m celery -A workers.celery_app beat --pidfile= --loglevel WARNING --schedule"
# A reader thinks for longer than the usual 5 s: the connection stays, and is not closed just as the decision comes.
WEB = (
    "-m uvicorn app.main:create_app --factory --http app.web.connections:Connection --no-access-log"
    " --timeout-graceful-shutdown 3 --timeout-keep-alive 75"
)
DEMO = "-m app.cli demo"

# Several processes share the cores already, so each does its arithmetic on one.
ONE_THREAD: dict[str, str] = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)


class Parts(NamedTuple):
    """A held home with running servers: where everything of one Breakwater is started from."""

    home: Home
    servers: Servers
    environment: dict[str, str]

    def child(self, name: str, command: str, *words: str, env: Mapping[str, str] | None = None) -> Child:
        return Child(
            name,
            [sys.executable, *command.split(), *words],
            env={**self.environment, "PGAPPNAME": f"breakwater {name}", **(env or {})},
            log=self.home.logs / f"{name}.log",
        )

    def announcement(self, url: str) -> Running:
        """What other commands must know to work with this instance."""
        return Running(
            pid=os.getpid(),
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            url=url,
            database_url=self.servers.database_url,
            redis_url=self.servers.redis_url,
            files_dir=self.environment["FILES_DIR"],
        )


@contextmanager
def parts(chosen: Settings) -> Generator[Parts]:
    """Hold the home, start the servers for which there is no URL, and migrate."""
    home = Home(chosen.home)
    with home.held(), servers_of(home, chosen.database_url, chosen.redis_url) as servers:
        environment = {
            **os.environ,
            "BREAKWATER_HOME": str(home.path),
            "FILES_DIR": str(chosen.files),
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "PYTHONUNBUFFERED": "1",
            processes.MARK: str(home.path),
        }
        bring_up_to_date(servers.database_url)
        yield Parts(home, servers, environment)


@contextmanager
def background(chosen: Parts) -> Generator[Sequence[Child]]:
    """Run the workers and their clock while the block lasts."""
    workers = [chosen.child(name, command, env=ONE_THREAD) for name, command in WORKERS.items()]
    beat = chosen.child("beat", BEAT, str(chosen.home.run / "beat"))
    try:
        for child in (*workers, beat):
            child.start()
        yield (*workers, beat)
    finally:
        processes.end([beat], [(signal.SIGTERM, 2)])
        # What a worker holds is leased, so one that does not come to an end may be killed.
        processes.end(workers, [(signal.SIGTERM, 8)])


def bring_up_to_date(database_url: str) -> None:
    engine = database.make_engine(database_url)
    migrate(engine)
    engine.dispose()


@contextmanager
def running_instance(*, with_workers: bool = False) -> Generator[Sequence[Child]]:
    """Point this process at the instance that runs on this home, or start one while the block lasts.

    Started are the servers for which there is no URL and, when asked for, the workers; the children given
    back are those to watch, none of an instance that was running before.
    """
    chosen = settings()
    with ExitStack() as stack:
        found = _start_or_find(stack, chosen)
        if isinstance(found, Running):
            _point_at(found)
            yield ()
            return
        _point_at(found.announcement(url=""))
        workers = stack.enter_context(background(found)) if with_workers else ()
        yield (*found.servers.children, *workers)


def _start_or_find(stack: ExitStack, chosen: Settings) -> Parts | Running:
    deadline = time.monotonic() + 20
    while True:
        try:
            return stack.enter_context(parts(chosen))
        except InUse as in_use:
            if in_use.running is not None:
                return in_use.running
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)  # it is starting, or a short command is at work


def _point_at(running: Running) -> None:
    os.environ.update(
        DATABASE_URL=running.database_url, REDIS_URL=running.redis_url, FILES_DIR=running.files_dir
    )
    for remembered in (settings, database.engine, database.session_factory):
        remembered.cache_clear()

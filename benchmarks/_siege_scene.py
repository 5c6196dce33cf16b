"""The product that is besieged: its people, its web process, and what has to be mended before the next load."""

import contextlib
import json
import os
import re
import socket
import stat
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import psutil
import redis
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.accounts.sessions import open_session, session_of
from app.accounts.tokens import create_token
from app.pipeline import InstanceStatus, Role, RunKind, RunState, Scope
from app.storage.tables import Membership, Person, Project, Run
from app.web.dependencies import SESSION_COOKIE
from benchmarks._product import database_of, fresh_home, process_of
from benchmarks._siege_line import Address
from tests.factories import REASONS
from tests.stack.product import Product, kill, running, start

PROJECT = "demo"
INSTANCES = 600
BACK_S = 180.0  # for a web process that was started again
MB = 2**20

_INSTANCES = """
    INSERT INTO instance (project_id, run_id, candidate, task, language, status, task_name, instruction,
        information, solution, revision, contradictory, priority, generator, discriminator)
    SELECT :project, :run, number, 'generation', 'python', :status, 'code generation',
        'Write function ' || number, '', 'def f' || number || '(): ...', 0, false, 50, 'offline', 'offline'
    FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS number"""
_STAMPS = (
    "UPDATE api_token SET last_used_at = now() - :age * interval '1 second' WHERE person_id = ANY(:people)",
    "UPDATE sign_in SET last_seen_at = now() - :age * interval '1 second' WHERE person_id = ANY(:people)",
)


class Guest(NamedTuple):
    """Somebody of the project, with a token and a browser that is signed in."""

    id: int
    token: str
    cookie: str
    csrf: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def browser(self) -> dict[str, str]:
        return {"Cookie": f"{SESSION_COOKIE}={self.cookie}"}


@dataclass
class Tally:
    """What became of the requests of one load, and figures of its own (the largest of each)."""

    outcomes: Counter[str] = field(default_factory=Counter)
    figures: dict[str, float] = field(default_factory=dict)

    def add(self, *outcomes: str) -> None:
        self.outcomes.update(outcomes)

    def most(self, name: str, figure: float) -> None:
        self.figures[name] = max(self.figures.get(name, figure), round(figure, 2))

    def least(self, name: str, figure: float) -> None:
        self.figures[name] = min(self.figures.get(name, figure), round(figure, 2))


class Scene:
    """A running product and everything a load needs of it."""

    def __init__(self, product: Product, database: Engine, settings: dict[str, str]) -> None:
        self.product = product
        self._settings = settings
        self.database = database
        self.address = _address(product.url)
        self.project_id = _make_project(database)
        self.admin = self.hire("lead", Role.ADMIN, Scope.ADMIN)
        self.readers = [self.hire(f"reader{number}", Role.ANNOTATOR, Scope.REVIEW) for number in range(3)]
        self.attacker = self.hire("attacker", Role.VIEWER, Scope.READ)
        self.web = process_of(product, "web")
        self.alone_s = 0.0  # what a run takes while nothing is in its way
        self.restarts = 0  # of the web process, by itself or its supervisor
        self._log = product.home / "logs" / "web.log"
        self._log_read = 0

    def hire(self, name: str, role: Role, scope: Scope) -> Guest:
        with Session(self.database) as session, session.begin():
            person = Person(name=name, password_hash="none")
            session.add(person)
            session.flush()
            session.add(Membership(person_id=person.id, project_id=self.project_id, role=role))
            cookie = open_session(session, person)
            opened = session_of(session, cookie)
            assert opened is not None
            token = create_token(session, None, person, "siege", scope)
            return Guest(person.id, token, cookie, opened.sign_in.csrf_token)

    def reads(self) -> list[tuple[str, dict[str, str]]]:
        """What other readers ask in turn, each for themselves."""
        by_token = ["/api/v1/me", "/instances?limit=20", "/sources", "/runs"]
        by_browser = ["/", "/review", "/instances", "/sources"]
        turns: list[tuple[str, dict[str, str]]] = []
        for token_path, page in zip(by_token, by_browser, strict=True):
            path = token_path if token_path.startswith("/api") else f"/api/v1/projects/{PROJECT}{token_path}"
            for reader in self.readers:
                turns += [(path, reader.bearer), (page, reader.browser)]
        return turns

    # --- the database ---------------------------------------------------------------------------------

    def stamp(self, *guests: Guest, age_s: int) -> None:
        """Have them used token and browser so long ago. Does nothing while somebody holds the rows."""
        with contextlib.suppress(SQLAlchemyError), self.database.begin() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = '500ms'")
            for statement in _STAMPS:
                connection.execute(text(statement), {"age": age_s, "people": [one.id for one in guests]})

    def stamp_everybody(self) -> None:
        """As if all had asked just now: what old stamps do is a load of its own."""
        self.stamp(*self.readers, self.admin, self.attacker, age_s=0)

    def forget_sign_ins(self) -> None:
        """Have the throttle count from nothing again: each burst is that of another stranger."""
        with redis.Redis.from_url(self.product.record["redis_url"], socket_timeout=5) as client:
            keys = [key for key in client.scan_iter("*throttle*", count=1000)]
            if keys:
                client.delete(*keys)

    # --- the web process ------------------------------------------------------------------------------

    def web_mb(self) -> float:
        """Memory of the web process and what it started (RSS); 0 while there is none. Notes a restart."""
        try:
            if not self.web.is_running() or self.web.status() == psutil.STATUS_ZOMBIE:
                self.web = process_of(self.product, "web")
                self.restarts += 1
            family = [self.web, *self.web.children(recursive=True)]
        except (psutil.NoSuchProcess, StopIteration):
            return 0.0
        return sum(map(_rss, family)) / MB

    def temp_mb(self) -> float:
        """Files without a name that the web process holds open: where bodies are kept meanwhile."""
        held = 0
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{self.web.pid}/fd"):
                with contextlib.suppress(OSError):
                    found = os.stat(f"/proc/{self.web.pid}/fd/{number}")
                    if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                        held += found.st_blocks * 512
        return held / MB

    def is_well(self, patience_s: float) -> bool:
        """Whether the process answers, and somebody who has a token is let in."""
        for path, headers in (("/healthz", {}), ("/api/v1/me", self.readers[0].bearer)):
            try:
                answer = httpx2.get(f"{self.product.url}{path}", headers=headers, timeout=patience_s)
            except httpx2.HTTPError:
                return False
            if answer.status_code != 200:
                return False
        return True

    def await_well(self, seconds: float, patience_s: float = 2.0) -> bool:
        deadline = time.monotonic() + seconds
        while not (found := self.is_well(patience_s)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def restart_web(self) -> None:
        """End the web process and wait for the next one; where none comes, start everything again."""
        before = self.web
        kill([before])
        time.sleep(0.5)  # its sessions of the database end, and with them their locks
        self.stamp_everybody()
        deadline = time.monotonic() + BACK_S
        while time.monotonic() < deadline:
            with contextlib.suppress(psutil.NoSuchProcess, StopIteration):
                self.web = process_of(self.product, "web")
                if self.web.pid != before.pid and self.is_well(10.0):
                    return
            time.sleep(0.1)
        self.product.kill_everything()
        self.product = start(self.product.home, demo=False, **self._settings)
        self.web = process_of(self.product, "web")
        self.await_well(BACK_S)

    def restart_worker(self, queue: str) -> None:
        """End a worker that does not let go of what it does; its supervisor starts another."""
        kill(self.workers(queue))

    def workers(self, queue: str) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in self.product.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                if f"--queues {queue}" in " ".join(process.cmdline()):
                    found.append(process)
        return found

    # --- what the web process logs --------------------------------------------------------------------

    def broken_answers(self) -> Counter[str]:
        """Addresses that were answered with 500 since the last look, whether or not anybody was there to see it."""
        found: Counter[str] = Counter()
        with contextlib.suppress(OSError), self._log.open("rb") as log:
            if self._log.stat().st_size < self._log_read:
                self._log_read = 0  # a new log
            log.seek(self._log_read)
            for line in log:
                if line.startswith(b"{"):
                    with contextlib.suppress(ValueError):
                        found.update(_broken(json.loads(line)))
            self._log_read = log.tell()
        return found


def _broken(line: dict[str, Any]) -> Iterator[str]:
    status = line.get("status")
    if line.get("event") == "request" and isinstance(status, int) and status >= 500 and status != 503:
        yield re.sub(r"/\d+", "/N", f"{line.get('method')} {line.get('path')}")


def _rss(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.memory_info().rss
    return 0


def _address(url: str) -> Address:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def _make_project(database: Engine) -> int:
    """A project with instances to read and to release."""
    with Session(database) as session, session.begin():
        project = Project(slug=PROJECT, name="Demo", reasons=REASONS)
        session.add(project)
        session.flush()
        run = Run(project_id=project.id, kind=RunKind.GENERATE, state=RunState.COMPLETED, params={})
        session.add(run)
        session.flush()
        values: dict[str, Any] = {"project": project.id, "run": run.id}
        half = INSTANCES // 2
        for status, first, last in (
            (InstanceStatus.WAITING, 1, half),
            (InstanceStatus.ACCEPTED, half + 1, INSTANCES),
        ):
            session.execute(text(_INSTANCES), values | {"status": status, "first": first, "last": last})
        return project.id


@contextmanager
def scene(environment: dict[str, str] | None = None) -> Generator[Scene]:
    """The product in a home of its own, on a port that stays the same over restarts."""
    settings = {"PORT": str(_free_port()), "LOG_FORMAT": "json"} | (environment or {})
    with (
        fresh_home() as home,
        running(home, demo=False, **settings) as product,
        database_of(product) as database,
    ):
        made = Scene(product, database, settings)
        try:
            yield made
        finally:
            if made.product is not product:  # everything had to be started again
                made.product.stop()


def journal_of(scene_: Scene) -> Path:
    return scene_.product.home.with_name("witnesses.jsonl")

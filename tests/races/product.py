"""The product serving from a thread on a database of its own, and requests that reach it at the same moment."""

import json
import os
import select
import socket
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlencode

import uvicorn
from sqlalchemy import Engine, make_url, text
from sqlalchemy.orm import Session, sessionmaker

from app.generation.queries import keep_shipped_cases
from app.main import create_app
from app.settings import settings
from app.storage import database
from app.storage.database import make_engine
from app.storage.migrations import migrate
from app.storage.tables import Base

AT_ONCE = 12
PATIENCE_S = 1.0  # how long writers are held after the last one that came
POLL_S = 0.015
UNHELD = {"sign_in", "api_token", "worker"}  # stamps of who was there are no part of a race
CACHES = (settings, database.engine, database.session_factory)


class Asked(NamedTuple):
    """A request. `body`: bytes of a form or of JSON."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = {}


def form(path: str, **fields: Any) -> Asked:
    """A page's form; fields that are lists are sent once for each."""
    return Asked("POST", path, urlencode(fields, doseq=True).encode(), {"Content-Type": FORM})


def upload(path: str, name: str, content: bytes, **fields: str) -> Asked:
    parts = [
        f'--{_MARK}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    ]
    parts.append(f'--{_MARK}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n')
    body = "".join(parts).encode() + content + f"\r\n--{_MARK}--\r\n".encode()
    return Asked("POST", path, body, {"Content-Type": f"multipart/form-data; boundary={_MARK}"})


def send(path: str, method: str = "POST", **fields: Any) -> Asked:
    """JSON over REST."""
    return Asked(method, path, json.dumps(fields).encode(), {"Content-Type": "application/json"})


FORM = "application/x-www-form-urlencoded"
_MARK = "races"


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_done(self) -> bool:
        """Whether it says that something was done; a page that sends one to sign in says nothing."""
        return self.status < 400

    def __repr__(self) -> str:
        return f"{self.status} {self.headers.get('location', '')} {self.body[:300]!r}"


class Product:
    """Where it serves, and its database."""

    def __init__(self, port: int, engine: Engine) -> None:
        self.sessions = sessionmaker(engine, expire_on_commit=False)
        self._engine = engine
        self._lines = [HTTPConnection("127.0.0.1", port, timeout=120) for _ in range(AT_ONCE)]

    def close(self) -> None:
        for line in self._lines:
            line.close()

    def ask(self, asked: Asked) -> Answer:
        return self._told(self._lines[:1], [asked])[0]

    def race(self, asked: Sequence[Asked]) -> list[Answer]:
        """Send all at once. Nobody may write before everybody has looked: what each has seen is old by then."""
        lines = self._lines[: len(asked)]
        with self._nobody_writes():
            self._send(lines, asked)
            self._await_all(lines)
        return self._answers(lines)

    def _told(self, lines: Sequence[HTTPConnection], asked: Sequence[Asked]) -> list[Answer]:
        self._send(lines, asked)
        return self._answers(lines)

    def _send(self, lines: Sequence[HTTPConnection], asked: Sequence[Asked]) -> None:
        for line, one in zip(lines, asked, strict=True):
            line.request(one.method, one.path, one.body, dict(one.headers))

    def _answers(self, lines: Sequence[HTTPConnection]) -> list[Answer]:
        try:
            return [_answer_on(line) for line in lines]
        except BaseException:
            self.close()  # what is still under way on the others is no answer to the next race
            raise

    @contextmanager
    def _nobody_writes(self) -> Generator[None]:
        """All tables can be read and their rows locked, but not changed."""
        names = ", ".join(table.name for table in Base.metadata.sorted_tables if table.name not in UNHELD)
        with self._engine.connect() as holding:
            holding.execute(text(f"LOCK TABLE {names} IN SHARE MODE"))
            yield

    def _await_all(self, lines: Sequence[HTTPConnection]) -> None:
        """Until everybody waits for a lock or is answered."""
        sockets = [line.sock for line in lines]
        come, deadline = 0, time.monotonic() + PATIENCE_S
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as watching:
            while come < len(lines) and time.monotonic() < deadline:
                time.sleep(POLL_S)
                there = watching.execute(_WAITING).scalar_one() + len(select.select(sockets, [], [], 0)[0])
                if there > come:
                    come, deadline = there, time.monotonic() + PATIENCE_S

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        with self._engine.connect() as connection:
            return {name: number for name, number in connection.execute(_COUNTS)}

    def value(self, statement: str, **values: Any) -> Any:
        """The first row of a question, as a tuple."""
        with self._engine.connect() as connection:
            row = connection.execute(text(statement), values).first()
            return None if row is None else tuple(row)


def _answer_on(line: HTTPConnection) -> Answer:
    with line.getresponse() as response:
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())


_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
_COUNTS = text(
    " UNION ALL ".join(
        f"SELECT '{table}', count(*) FROM {table}"
        for table in Base.metadata.tables
        if table != "template"  # kept once for all projects
    )
)


@contextmanager
def serving(server_url: str) -> Generator[Product]:
    """The whole product with its own sessions, as `breakwater up` starts it, but in this process."""
    server = make_engine(server_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE races"))
        connection.execute(text("ALTER DATABASE races SET deadlock_timeout = '50ms'"))
    server.dispose()
    url = make_url(server_url).set(database="races").render_as_string(hide_password=False)
    engine = make_engine(url, pool_size=5)
    migrate(engine)
    with Session(engine) as session:
        keep_shipped_cases(session)
        session.commit()
    with _configured(DATABASE_URL=url), _listening() as port:
        product = Product(port, engine)
        yield product
        product.close()
    engine.dispose()


@contextmanager
def _configured(**values: str) -> Generator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    for cache in CACHES:
        cache.cache_clear()
    try:
        yield
    finally:
        database.engine().dispose()
        os.environ.update({name: value for name, value in before.items() if value is not None})
        for cache in CACHES:
            cache.cache_clear()


@contextmanager
def _listening() -> Generator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(create_app(), log_level="warning", timeout_keep_alive=120)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.02)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()

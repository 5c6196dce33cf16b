"""Engines and sessions. Nobody below an entry point commits."""

import json
import select
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import psycopg
from psycopg.types.datetime import TimestamptzBinaryLoader, TimestamptzLoader
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, sessionmaker

from app.settings import settings

MOST_CONNECTIONS = 20
"""Of one process. More than the web has places (`app.web.admission`) and probes, so that nobody there waits for one."""

CONNECTION_PATIENCE_S = 5.0


class Bounds(NamedTuple):
    """How long a session may hold others up, in seconds. The server ends it, also where its client is frozen.

    Without any of the three there is no such bound: migrations and backfills take as long as they take.
    """

    name: str  # of the part, as `pg_stat_activity` shows it
    lock_s: float | None = None  # waiting for a row that somebody else holds
    statement_s: float | None = None
    idle_s: float | None = None  # in a transaction that asks nothing
    connect_s: int = 10  # until there is a connection


OWN_NAME = "breakwater"
"""How the application name of each of our sessions begins."""

UNBOUNDED = Bounds(OWN_NAME)
WEB = Bounds(f"{OWN_NAME} web", lock_s=5, statement_s=30, idle_s=60)
COMMAND = Bounds(f"{OWN_NAME} command", lock_s=30)
DRAIN = Bounds(f"{OWN_NAME} drain", lock_s=2, statement_s=60, idle_s=60)
JOB = Bounds(f"{OWN_NAME} job", lock_s=20, statement_s=900, idle_s=60)
PROBE = Bounds(f"{OWN_NAME} probe", lock_s=2, statement_s=2, idle_s=10, connect_s=2)
SWEEPER = Bounds(f"{OWN_NAME} sweeper", lock_s=1, statement_s=60, idle_s=20)

_TCP = {  # a peer that is gone without a word is found in under a minute
    "keepalives": 1,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 40_000,
}
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


def compact_json(value: Any) -> str:
    """JSON as it is sent to the database."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def make_engine(
    database_url: str,
    bounds: Bounds = UNBOUNDED,
    *,
    connect_args: Mapping[str, Any] = MappingProxyType({}),
    **options: Any,
) -> Engine:
    """An engine for `database_url`; any Postgres URL form is taken and driven by psycopg 3."""
    url = database_url.replace("postgres://", "postgresql://", 1)
    url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    made = create_engine(
        url,
        json_serializer=compact_json,
        connect_args={**_connect_args(url, bounds), **connect_args},
        **options,
    )
    event.listen(made, "checkout", _demand_alive)
    event.listen(made, "connect", _read_any_moment)
    return made


def _connect_args(url: str, bounds: Bounds) -> dict[str, Any]:
    said = make_url(url).query
    asked = said.get("options", "")
    limits = {
        "lock_timeout": bounds.lock_s,
        "statement_timeout": bounds.statement_s,
        "idle_in_transaction_session_timeout": bounds.idle_s,
    }
    ours = [f"-c {name}={seconds * 1000:.0f}" for name, seconds in limits.items() if seconds is not None]
    known = {"application_name": bounds.name, "connect_timeout": bounds.connect_s, **_TCP}
    args: dict[str, Any] = {name: value for name, value in known.items() if name not in said}
    if ours:  # what the address says comes last, and wins
        args["options"] = " ".join([*ours, *([asked] if isinstance(asked, str) else asked)]).strip()
    return args


def _demand_alive(connection: Any, *_: object) -> None:
    """Have the pool replace a connection that its server has closed. What waits to be read on an idle one is the
    goodbye, so that no question has to go there and back.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError("the server has closed this connection")


class _AnyMoment(TimestamptzLoader):
    """Reads moments that Python does not know, infinity and the year 294276 among them, as the nearest it does.

    One such row must not make a whole list unreadable.
    """

    def load(self, data: Any) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            text = bytes(data)
            return _FIRST if text.startswith(b"-") or text.endswith(b"BC") else _LAST


class _AnyBinaryMoment(TimestamptzBinaryLoader):
    def load(self, data: Any) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return _FIRST if bytes(data)[0] & 0x80 else _LAST


def _read_any_moment(connection: psycopg.Connection[Any], _: object) -> None:
    connection.adapters.register_loader("timestamptz", _AnyMoment)
    connection.adapters.register_loader("timestamptz", _AnyBinaryMoment)


@lru_cache
def engine(bounds: Bounds = WEB) -> Engine:
    """The one engine of this process for sessions with these bounds."""
    database_url = settings().database_url
    if database_url is None:
        raise RuntimeError("DATABASE_URL is not set: start the product with `breakwater up`")
    return make_engine(
        database_url, bounds, pool_size=MOST_CONNECTIONS, max_overflow=0, pool_timeout=CONNECTION_PATIENCE_S
    )


@lru_cache
def session_factory(bounds: Bounds = WEB) -> sessionmaker[Session]:
    bound = engine() if bounds is WEB else engine(bounds)  # one pool, however it is asked for
    return sessionmaker(bound, expire_on_commit=False)

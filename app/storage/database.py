"""Engines and sessions. Nobody below an entry point commits."""

import json
import select
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, sessionmaker

from app.settings import settings

MOST_CONNECTIONS = 20
"""Of one process. More than the web has places (`app.web.admission`) and probes, so that nobody there waits for one."""

CONNECTION_PATIENCE_S = 5.0


def compact_json(value: Any) -> str:
    """JSON as it is sent to the database."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def make_engine(database_url: str, **options: Any) -> Engine:
    """An engine for `database_url`; any Postgres URL form is taken and driven by psycopg 3."""
    url = database_url.replace("postgres://", "postgresql://", 1)
    url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    made = create_engine(url, json_serializer=compact_json, **options)
    event.listen(made, "checkout", _demand_alive)
    return made


def _demand_alive(connection: Any, *_: object) -> None:
    """Have the pool replace a connection that its server has closed. What waits to be read on an idle one is the
    goodbye, so that no question has to go there and back.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError("the server has closed this connection")


@lru_cache
def engine() -> Engine:
    """The one engine of this process."""
    database_url = settings().database_url
    if database_url is None:
        raise RuntimeError("DATABASE_URL is not set: start the product with `breakwater up`")
    return make_engine(
        database_url, pool_size=MOST_CONNECTIONS, max_overflow=0, pool_timeout=CONNECTION_PATIENCE_S
    )


@lru_cache
def session_factory() -> sessionmaker[Session]:
    return sessionmaker(engine(), expire_on_commit=False)

"""For machines that watch: `/healthz` (this process), `/readyz` (everything it needs), `/metrics`."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import structlog
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Connection, Engine, NullPool, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.engine.stalls import standstill
from app.engine.sweep import queues_alive
from app.queue import QUEUES
from app.settings import settings
from app.storage.database import PROBE, make_engine
from app.storage.faults import READ_ONLY, server_fault
from app.storage.migrations import why_other_tables
from app.web.admission import probes
from app.web.metrics import latest

router = APIRouter(include_in_schema=False)
_log = structlog.get_logger()

_LIMIT_S = 2  # of Redis: an answer that comes late is one, too
_MOST_SENTENCES = 8


@router.get("/healthz")
async def healthz() -> PlainTextResponse:
    """From the event loop: it needs no thread and no database, so that silence means that this process is stuck."""
    return PlainTextResponse("ok\n")


@router.get("/metrics", dependencies=[probes])
def metrics() -> Response:
    return Response(generate_latest() + latest(), media_type=CONTENT_TYPE_LATEST)


@router.get("/readyz", dependencies=[probes])
def readyz() -> JSONResponse:
    """200 when all of it is there, else 503; either way, what was found.

    Work that stands still is told under `standing`, and makes it 503 only where no run at all can go on for a cause
    of ours: with a provider that is away, or one run that waits, everybody is still served.
    """
    asked = _ask_database()
    found = {
        "database": asked["database"],
        "migrations": asked["migrations"],
        "redis": _look("redis", redis_refusal),
        "files": _look("files", files_refusal),
        "workers": asked["workers"],
        "standing": asked["standing"],
    }
    ready = not any(one.is_fatal for one in found.values())
    answer = {name: one.says or "ok" for name, one in found.items()}
    return JSONResponse({"ready": ready, "checks": answer}, 200 if ready else 503)


class _Found(NamedTuple):
    """What is wrong, if anything, and whether nothing can be done because of it."""

    says: str | None
    is_fatal: bool


def _look(name: str, check: Callable[[], str | _Found | None]) -> _Found:
    try:
        found = check()
    except (SQLAlchemyError, RedisError, OSError) as error:
        fault = server_fault(error)
        found = fault.says if fault is not None else "does not answer"
        _log.warning("not_ready", check=name, why=found, error=str(error))
    return found if isinstance(found, _Found) else _Found(found, is_fatal=found is not None)


@lru_cache
def _engine(database_url: str) -> Engine:
    """A connection of its own for each look, which no other request can keep busy."""
    return make_engine(database_url, PROBE, poolclass=NullPool)


def _ask_database() -> dict[str, _Found]:
    """Each question in a transaction of its own, with a limit; where no connection is to be had, the same to all."""
    checks: dict[str, Callable[[Connection], str | _Found | None]] = {
        "database": database_refusal,
        "migrations": why_other_tables,
        "workers": _workers,
        "standing": _standing,
    }
    try:
        with _engine(settings().database_url or "").connect() as connection:
            return {name: _look(name, partial(_limited, connection, ask)) for name, ask in checks.items()}
    except SQLAlchemyError as error:
        return dict.fromkeys(checks, _look("database", partial(_raise, error)))


def _limited(connection: Connection, ask: Callable[[Connection], str | _Found | None]) -> str | _Found | None:
    with connection.begin():
        return ask(connection)


def _raise(error: Exception) -> None:
    raise error


# More rows than it may keep in memory, which it writes to its disk and leaves nothing of behind there.
_WRITES = text("SELECT count(*) FROM generate_series(1, 10000)")


def database_refusal(connection: Connection) -> str | None:
    """Why the database would not take a change now; None where it would. Raises what it says to a question."""
    is_read_only = connection.scalar(
        text("SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool")
    )
    if is_read_only:
        return READ_ONLY.says
    connection.execute(text("SET LOCAL work_mem = '64kB'"))
    connection.execute(_WRITES)
    return None


def redis_refusal() -> str | None:
    """Why Redis would not take a doorbell now: it is written to, for one that answers may yet refuse."""
    limits = {"socket_timeout": _LIMIT_S, "socket_connect_timeout": _LIMIT_S}
    with Redis.from_url(settings().redis_url or "", **limits) as client:
        client.set("breakwater:probe", "x" * 64, ex=10)
    return None


def files_refusal() -> str | None:
    """Why no file could be kept now. Raises OSError with the disk's own reason."""
    folder = settings().files
    if folder.exists() and not folder.is_dir():
        return "FILES_DIR is not a folder"
    folder.mkdir(parents=True, exist_ok=True)
    probe, name = tempfile.mkstemp(dir=folder, prefix=".probe-")
    try:
        with open(probe, "wb") as file:
            file.write(os.urandom(65_536))  # not zeros, which some disks do not store
    finally:
        with suppress(OSError):
            Path(name).unlink()
    return None


def _workers(connection: Connection) -> str | None:
    with Session(connection) as session:
        silent = sorted(set(QUEUES.values()) - queues_alive(session))
    return f"no worker for {' and '.join(silent)}" if silent else None


def _standing(connection: Connection) -> _Found:
    with Session(connection) as session:
        found = standstill(session)
    said = found.sentences
    more = [f"and {len(said) - _MOST_SENTENCES} more"] if len(said) > _MOST_SENTENCES else []
    return _Found("; ".join([*said[:_MOST_SENTENCES], *more]) or None, found.is_total)

"""For machines that watch: `/healthz` (this process), `/readyz` (everything it needs), `/metrics`."""

from collections.abc import Callable

import structlog
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from app.engine.sweep import queues_alive
from app.queue import QUEUES
from app.settings import settings
from app.storage.database import engine, session_factory
from app.storage.migrations import is_migrated
from app.web.admission import probes
from app.web.metrics import latest

router = APIRouter(include_in_schema=False)
_log = structlog.get_logger()


@router.get("/healthz")
async def healthz() -> PlainTextResponse:
    """From the event loop: it needs no thread and no database, so that silence means that this process is stuck."""
    return PlainTextResponse("ok\n")


@router.get("/metrics", dependencies=[probes])
def metrics() -> Response:
    return Response(generate_latest() + latest(), media_type=CONTENT_TYPE_LATEST)


@router.get("/readyz", dependencies=[probes])
def readyz() -> JSONResponse:
    """200 when all of it is there, else 503; either way, what was found."""
    checks: dict[str, Callable[[], str | None]] = {
        "database": _database,
        "migrations": _migrations,
        "redis": _redis,
        "files": _files,
        "workers": _workers,
    }
    found = {name: _why_not(name, check) for name, check in checks.items()}
    ready = not any(found.values())
    answer = {name: "ok" if why is None else why for name, why in found.items()}
    return JSONResponse({"ready": ready, "checks": answer}, 200 if ready else 503)


def _why_not(name: str, check: Callable[[], str | None]) -> str | None:
    try:
        return check()
    except (SQLAlchemyError, RedisError, OSError) as error:
        _log.warning("not_ready", check=name, error=str(error))
        return "does not answer"


def _database() -> str | None:
    with engine().connect() as connection:
        connection.execute(select(1))
    return None


def _migrations() -> str | None:
    with engine().connect() as connection:
        return None if is_migrated(connection) else "not at this version: run `breakwater migrate`"


def _redis() -> str | None:
    with Redis.from_url(settings().redis_url or "", socket_timeout=2, socket_connect_timeout=2) as client:
        client.ping()
    return None


def _files() -> str | None:
    folder = settings().files
    folder.mkdir(parents=True, exist_ok=True)
    return None if folder.is_dir() else "FILES_DIR is not a folder"


def _workers() -> str | None:
    with session_factory()() as session:
        silent = sorted(set(QUEUES.values()) - queues_alive(session))
    return f"no worker for {' and '.join(silent)}" if silent else None

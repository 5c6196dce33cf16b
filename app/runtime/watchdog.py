"""A worker that hears nothing while work waits ends itself; whatever started it starts it again.

Celery workers are known to stay alive without consuming after Redis was away. Their heartbeat cannot show that: it
goes on. What shows it is that no child has taken a doorbell for long although something is due.
"""

import os
import threading
import time
from collections.abc import Callable

import psutil
import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import NullPool
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.engine.sweep import stages_with_due_items
from app.queue import QUEUES, doorbell_for
from app.settings import settings
from app.storage.database import SWEEPER, make_engine

_LOOK_EVERY = 4  # times within the silence that is too long

_log = structlog.get_logger()


def watch(queue: str, heard_at: Callable[[], float]) -> None:
    """Start watching in a thread of the worker's parent. `heard_at`: by the monotonic clock, of any child."""
    threading.Thread(target=_watch, args=(queue, heard_at), name="watchdog", daemon=True).start()


def _watch(queue: str, heard_at: Callable[[], float]) -> None:
    too_long = settings().watchdog_s
    since = time.monotonic()
    while True:
        time.sleep(too_long / _LOOK_EVERY)
        silent = time.monotonic() - max(since, heard_at())
        if silent > too_long and _is_work_waiting(queue):
            _log.error("worker_hears_nothing", queue=queue, silent_s=round(silent))
            _end()


def _is_work_waiting(queue: str) -> bool:
    """Whether something is due, and both that know of it answer: else a new start would not help."""
    configured = settings()
    engine = make_engine(
        configured.database_url or "", SWEEPER, poolclass=NullPool
    )  # the children forked from here
    try:
        with Redis.from_url(configured.redis_url or "", socket_timeout=2) as redis:
            redis.ping()
        with Session(engine) as session:
            return any(QUEUES[doorbell_for(stage)] == queue for stage in stages_with_due_items(session))
    except (RedisError, OSError, SQLAlchemyError):
        return False
    finally:
        engine.dispose()


def _end() -> None:
    """At once: a worker that hears nothing does not hear a polite request either."""
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(1)

"""What the doorbells start. Every task may come twice, late or never."""

import sys
from functools import lru_cache
from multiprocessing import Event, Value
from time import monotonic
from typing import Any

from celery.signals import worker_init, worker_process_shutdown, worker_ready, worker_shutting_down
from sqlalchemy import NullPool
from sqlalchemy.exc import SQLAlchemyError

from app.accounts.sessions import forget_expired_sessions
from app.engine.drain import Drain
from app.engine.process import Process
from app.engine.sweep import sweep
from app.queue import DRAIN, JOB, QUEUES
from app.runtime.watchdog import watch
from app.runtime.wiring import make_drain, process, serve_job
from app.settings import settings
from app.storage.database import SWEEPER, make_engine, session_factory
from app.storage.migrations import why_other_tables
from workers.celery_app import app

_SLICE_S = 60

# Set in the parent, seen by its children: they hand back what they hold instead of being killed with it.
_stopping = Event()
# Set by the children, seen by their parent: when one of them was last at work.
_heard_at = Value("d", 0.0)


@worker_init.connect
def _demand_our_tables(**_: object) -> None:
    """Not to work on the tables of another version. A database that is away is waited for."""
    looking = make_engine(settings().database_url or "", poolclass=NullPool)  # the children fork from here
    try:
        with looking.connect() as connection:
            why = why_other_tables(connection)
    except SQLAlchemyError:
        return
    if why is not None:
        sys.exit(f"breakwater: the worker does not start: {why}")


@worker_shutting_down.connect
def _stop(**_: object) -> None:
    _stopping.set()


@worker_ready.connect
def _watch(sender: Any, **_: object) -> None:
    for queue in sender.app.amqp.queues.consume_from:
        watch(queue, lambda: _heard_at.value)


@worker_process_shutdown.connect
def _land(**_: object) -> None:
    if _drain.cache_info().currsize:
        _drain().close()


@lru_cache
def _here(queue: str) -> Process:
    here = process(queue, _stopping.is_set)

    def keep_alive() -> None:
        _heard_at.value = monotonic()
        here.keep_alive()

    return here._replace(keep_alive=keep_alive)


@lru_cache
def _drain() -> Drain:
    return make_drain(_here(QUEUES[DRAIN]))


@app.task(name=DRAIN)
def drain_a_slice() -> None:
    _here(QUEUES[DRAIN]).keep_alive()
    _drain().work(_SLICE_S)


@app.task(name=JOB)
def do_jobs() -> None:
    here = _here(QUEUES[JOB])
    here.keep_alive()
    while not here.is_stopping() and serve_job(here):
        here.keep_alive()


@app.task(name="workers.sweep")
def sweep_once() -> None:
    sessions = session_factory(SWEEPER)
    with sessions.begin() as session:
        sweep(session)
    with sessions.begin() as session:
        forget_expired_sessions(session)

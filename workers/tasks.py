"""What the doorbells start. Every task may come twice, late or never."""

from multiprocessing import Event

from celery.signals import worker_shutting_down

from app.engine.sweep import sweep
from app.queue import DRAIN, JOB, QUEUES
from app.runtime.wiring import drain, serve_job, worker_seen
from app.storage.database import session_factory
from workers.celery_app import app

_SLICE_S = 60

# Set in the parent, seen by its children: they hand back what they hold instead of being killed with it.
_stopping = Event()


@worker_shutting_down.connect
def _stop(**_: object) -> None:
    _stopping.set()


@app.task(name=DRAIN)
def drain_a_slice() -> None:
    worker_seen(QUEUES[DRAIN])
    drain().work(_SLICE_S, _stopping.is_set)


@app.task(name=JOB)
def do_jobs() -> None:
    worker_seen(QUEUES[JOB])
    while serve_job(_stopping.is_set) and not _stopping.is_set():
        worker_seen(QUEUES[JOB])


@app.task(name="workers.sweep")
def sweep_once() -> None:
    with session_factory().begin() as session:
        sweep(session)

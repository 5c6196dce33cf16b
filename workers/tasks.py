"""What the doorbells start. Every task may come twice, late or never."""

from app.engine.sweep import sweep
from app.queue import DRAIN, JOB, QUEUES
from app.runtime.wiring import drain, serve_job, worker_seen
from app.storage.database import session_factory
from workers.celery_app import app

_SLICE_S = 60


@app.task(name=DRAIN)
def drain_a_slice() -> None:
    worker_seen(QUEUES[DRAIN])
    drain().work(_SLICE_S)


@app.task(name=JOB)
def do_jobs() -> None:
    worker_seen(QUEUES[JOB])
    while serve_job():
        worker_seen(QUEUES[JOB])


@app.task(name="workers.sweep")
def sweep_once() -> None:
    with session_factory().begin() as session:
        sweep(session)

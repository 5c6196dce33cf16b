"""The doorbell: Celery messages that carry nothing and may all be lost.

What there is to do stands in Postgres; a message only says "look now". Doorbells ring after the commit that
made the work visible, and a beat tick repairs those that were lost (I1, I2 of the engine).
"""

from functools import lru_cache

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from app.pipeline import MODEL_STAGES, Stage
from app.settings import settings

DRAIN = "workers.drain"  # ask models: queue `llm`
JOB = "workers.job"  # one piece of processor work: queue `cpu`
QUEUES = {DRAIN: "llm", JOB: "cpu"}

_log = structlog.get_logger()


def doorbell_for(stage: Stage) -> str:
    return DRAIN if stage in MODEL_STAGES else JOB


def celery_broker_url(redis_url: str) -> str:
    """kombu's spelling of a Redis URL: a socket is `redis+socket://`."""
    return redis_url.replace("unix://", "redis+socket://", 1)


@lru_cache
def broker() -> Celery:
    """This process's Celery application; workers add their tasks to it."""
    redis_url = settings().redis_url
    if redis_url is None:
        raise RuntimeError("REDIS_URL is not set: start the product with `breakwater up`")
    application = Celery("breakwater", broker=celery_broker_url(redis_url))
    application.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_soft_shutdown_timeout=20,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": 600,
            "socket_connect_timeout": 2,
            "socket_timeout": 10,
        },
    )
    return application


def ring(job: str) -> None:
    """Send one doorbell now. A Redis that is away costs time, not work."""
    try:
        broker().send_task(job, queue=QUEUES[job], expires=60, retry=False, ignore_result=True)
    except (
        OperationalError,
        RedisError,
        OSError,
    ) as error:  # RedisError: it answers, and refuses to be written to
        _log.warning("doorbell_not_sent", job=job, error=str(error))


def enqueue_after_commit(session: Session, job: str) -> None:
    """Ring once when the outermost transaction of `session` has committed."""
    waiting: set[str] = session.info.setdefault("doorbells", set())
    waiting.add(job)


@event.listens_for(Session, "after_commit")
def _ring_waiting(session: Session) -> None:
    if session.in_nested_transaction():  # a savepoint was released, nothing is visible yet
        return
    for job in sorted(session.info.pop("doorbells", ())):
        ring(job)


@event.listens_for(Session, "after_soft_rollback")
def _forget_waiting(session: Session, previous: SessionTransaction) -> None:
    if not previous.nested:
        session.info.pop("doorbells", None)

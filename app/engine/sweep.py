"""What repairs the rest: silent holders, lost calls, runs that nobody closed, doorbells that were lost."""

from datetime import timedelta

import structlog
from sqlalchemy import delete, exists, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from app.engine.calls import mark_lost_calls
from app.engine.items import release_expired
from app.engine.runs import complete_runs
from app.pipeline import ItemState, RunState, Stage
from app.queue import doorbell_for, enqueue_after_commit
from app.storage.tables import Run, Worker, WorkItem

# Any number will do: one sweeper at a time, on whichever host.
_SWEEP_LOCK = 7_200_915
SEEN_WITHIN = timedelta(seconds=60)

_log = structlog.get_logger()


def sweep(session: Session) -> None:
    """Repair what crashes and lost messages left behind. Safe to run at any time and anywhere."""
    if not session.scalars(select(func.pg_try_advisory_xact_lock(_SWEEP_LOCK))).one():
        return
    released = release_expired(session)
    lost = mark_lost_calls(session)
    completed = complete_runs(session)
    if released or lost or completed:
        _log.info("swept", released=released, lost_calls=lost, completed=completed)
    for stage in _stages_with_due_items(session):
        enqueue_after_commit(session, doorbell_for(stage))
    session.execute(delete(Worker).where(Worker.seen_at < func.now() - timedelta(hours=1)))


def say_alive(session: Session, name: str, queue: str) -> None:
    statement = postgresql.insert(Worker).values(name=name, queue=queue)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Worker.name], set_={"seen_at": func.clock_timestamp()}
        )
    )


def queues_alive(session: Session) -> set[str]:
    """The queues that a worker has served within the last minute."""
    return set(session.scalars(select(Worker.queue).where(Worker.seen_at > func.now() - SEEN_WITHIN)))


def _stages_with_due_items(session: Session) -> list[Stage]:
    stages: list[Stage] = []
    for stage in Stage:
        due = exists().where(
            WorkItem.stage == stage,
            WorkItem.state == ItemState.PENDING,
            WorkItem.next_attempt_at <= func.now(),
            Run.id == WorkItem.run_id,
            Run.state.in_((RunState.QUEUED, RunState.RUNNING)),
        )
        if session.scalars(select(due)).one():
            stages.append(stage)
    return stages

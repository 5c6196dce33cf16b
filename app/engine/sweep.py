"""What repairs the rest: silent holders, lost calls, runs that nobody closed, doorbells that were lost."""

from collections.abc import Sequence
from datetime import timedelta

import structlog
from sqlalchemy import ScalarSelect, delete, exists, func, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from app.engine.calls import mark_lost_calls
from app.engine.goals import steer
from app.engine.items import in_state, release_expired
from app.engine.runs import cancel_stragglers, complete_runs, note
from app.pipeline import UNFINISHED_RUNS, ItemState, RunState, Stage
from app.queue import doorbell_for, enqueue_after_commit
from app.storage.tables import Call, Run, Worker, WorkItem

# Any number will do: one sweeper at a time, on whichever host.
SWEEP_LOCK = 7_200_915
_COMING_BACK = timedelta(seconds=10)
SEEN_WITHIN = timedelta(seconds=60)
SWEEPER = "sweeper"  # its name among the workers, so that one that has not run for long is seen

_log = structlog.get_logger()


def sweep(session: Session) -> None:
    """Repair what crashes and lost messages left behind. Safe to run at any time and anywhere.

    Nobody could renew a lease while the database was away: after its start the holders come first.
    """
    if not session.scalars(select(func.pg_try_advisory_xact_lock(SWEEP_LOCK))).one():
        return
    is_awake = session.scalars(select(func.pg_postmaster_start_time() < func.now() - _COMING_BACK)).one()
    released = release_expired(session) if is_awake else 0
    lost = mark_lost_calls(session)
    cancelled = cancel_stragglers(session)
    steer(session, _unfinished(session))
    completed = complete_runs(session)
    corrected = _correct_reservations(session)
    if released or lost or cancelled or completed or corrected:
        _log.info(
            "swept",
            released=released,
            lost_calls=lost,
            cancelled=cancelled,
            completed=completed,
            corrected=corrected,
        )
    for stage in stages_with_due_items(session):
        enqueue_after_commit(session, doorbell_for(stage))
    session.execute(delete(Worker).where(Worker.seen_at < func.now() - timedelta(hours=1)))
    say_alive(session, SWEEPER, SWEEPER)


def _unfinished(session: Session) -> Sequence[int]:
    return session.scalars(select(Run.id).where(Run.state.in_((RunState.QUEUED, RunState.RUNNING)))).all()


def _correct_reservations(session: Session) -> int:
    """What a run has reserved is the sum over its open and possibly billed calls. Returns how many were not so.

    Whoever opens or closes a call holds its run's row until the commit, so a locked run and its calls agree.
    """
    promised = _reserved_by("sent") + _reserved_by("unknown")
    corrected = 0
    wrong = select(Run.id).where(Run.state.in_(UNFINISHED_RUNS), Run.reserved_micro != promised)
    for run_id in session.scalars(wrong).all():
        session.execute(select(Run.id).where(Run.id == run_id).with_for_update(key_share=True))
        found = session.execute(select(Run.reserved_micro, promised).where(Run.id == run_id)).one()
        if found[0] != found[1]:
            session.execute(
                update(Run)
                .where(Run.id == run_id)
                .values(reserved_micro=found[1])
                .execution_options(synchronize_session=False)
            )
            note(
                session,
                run_id,
                "ledger corrected",
                f"reserved {found[0]} micro-dollars, its calls {found[1]}",
            )
            corrected += 1
    return corrected


def _reserved_by(state: str) -> ScalarSelect[int]:
    reserved = func.coalesce(func.sum(Call.reserved_micro), 0)
    return select(reserved).where(Call.run_id == Run.id, Call.state == state).scalar_subquery()


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


def stages_with_due_items(session: Session) -> list[Stage]:
    """The stages for which an item waits whose time has come."""
    stages: list[Stage] = []
    for stage in Stage:
        due = exists().where(
            WorkItem.stage == stage,
            in_state(ItemState.PENDING),
            WorkItem.next_attempt_at <= func.now(),
            Run.id == WorkItem.run_id,
            Run.state.in_((RunState.QUEUED, RunState.RUNNING)),
        )
        if session.scalars(select(due)).one():
            stages.append(stage)
    return stages

"""What repairs the rest: silent holders, lost calls, runs that nobody closed, doorbells that were lost."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import ScalarSelect, delete, exists, func, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.engine.calls import mark_lost_calls, runs_with_lost_calls
from app.engine.goals import steer
from app.engine.items import in_state, is_due, release_expired
from app.engine.losses import lost_items, see_to_lost
from app.engine.runs import cancel_stragglers, complete_runs, note
from app.engine.standing import SWEEP_LOCK, what_blocks
from app.pipeline import UNFINISHED_RUNS, ItemState, RunState, Stage
from app.queue import doorbell_for, enqueue_after_commit
from app.storage.refusals import Refusal, refusal_of, words_of
from app.storage.tables import Call, Goal, Run, Worker, WorkItem

_SWEEP_TAKES = timedelta(seconds=30)  # at most
_COMING_BACK = timedelta(seconds=10)
SEEN_WITHIN = timedelta(seconds=60)

_log = structlog.get_logger()


def sweep(session: Session) -> None:
    """Repair what crashes and lost messages left behind. Safe to run at any time and anywhere.

    Nobody could renew a lease while the database was away: after its start the holders come first. What one step
    cannot do, because somebody holds the rows or for any other reason, is left to the next sweep.
    """
    _be_brief(session)
    if not session.scalars(select(func.pg_try_advisory_xact_lock(SWEEP_LOCK))).one() and not _go_round(
        session
    ):
        return
    is_awake = session.scalars(select(func.pg_postmaster_start_time() < func.now() - _COMING_BACK)).one()
    done: Counter[str] = Counter()

    def step(name: str, work: Callable[[], int | None]) -> None:
        try:
            with session.begin_nested():
                done[name] += work() or 0
        except DBAPIError as error:
            if refusal_of(error) in (Refusal.AWAY, Refusal.CLOSED):
                raise
            _log.warning("not_swept", step=name, error=words_of(error))

    if is_awake:
        for item in lost_items(session):
            step("worker_died", partial(see_to_lost, session, item))
        step("released", partial(release_expired, session))
    for run_id in runs_with_lost_calls(session):
        step("lost_calls", partial(mark_lost_calls, session, run_id))
    step("cancelled", partial(cancel_stragglers, session))
    for run_id in _unfinished_with_goals(session):
        step("steered", partial(steer, session, [run_id]))
    step("completed", lambda: len(complete_runs(session)))
    step("corrected", partial(_correct_reservations, session))
    if done.total():
        _log.info("swept", **{name: number for name, number in done.items() if number})
    for stage in stages_with_due_items(session):
        enqueue_after_commit(session, doorbell_for(stage))
    step("forgotten", partial(_forget_workers, session))


def _be_brief(session: Session) -> None:
    """Also where the connection has no such bounds: whoever sweeps holds what everybody needs."""
    limits = {"lock_timeout": "1s", "statement_timeout": "60s", "idle_in_transaction_session_timeout": "20s"}
    session.execute(select(*(func.set_config(name, limit, True) for name, limit in limits.items())))


def _go_round(session: Session) -> bool:
    """Whether to sweep although somebody has the sweeper's lock: whoever had it for so long does not sweep.

    One of our own, frozen, is ended; the session of a person is not ours to end. Two sweepers do no harm.
    """
    holders = [one for one in what_blocks(session, _SWEEP_TAKES) if one.holds_sweeper]
    for holder in holders:
        _log.warning("sweeper_held_up", by=str(holder), ended=holder.is_ours)
        if holder.is_ours:
            session.execute(select(func.pg_terminate_backend(holder.pid)))
    return bool(holders)


def _forget_workers(session: Session) -> None:
    session.execute(delete(Worker).where(Worker.seen_at < func.now() - timedelta(hours=1)))


def _unfinished_with_goals(session: Session) -> Sequence[int]:
    has_goal = exists().where(Goal.run_id == Run.id)
    return session.scalars(
        select(Run.id).where(Run.state.in_((RunState.QUEUED, RunState.RUNNING)), has_goal).order_by(Run.id)
    ).all()


def _correct_reservations(session: Session) -> int:
    """What a run has reserved is the sum over its open and possibly billed calls. Returns how many were not so.

    Whoever opens or closes a call holds its run's row until the commit, so a locked run and its calls agree.
    """
    promised = _reserved_by("sent") + _reserved_by("unknown")
    corrected = 0
    wrong = select(Run.id).where(Run.state.in_(UNFINISHED_RUNS), Run.reserved_micro != promised)
    for run_id in session.scalars(wrong).all():
        locked = select(Run.id).where(Run.id == run_id).with_for_update(key_share=True, skip_locked=True)
        if session.scalars(locked).first() is None:
            continue
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
            is_due(),
            Run.id == WorkItem.run_id,
            Run.state.in_((RunState.QUEUED, RunState.RUNNING)),
        )
        if session.scalars(select(due)).one():
            stages.append(stage)
    return stages

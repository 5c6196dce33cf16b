"""Runs: opening, pausing, resuming, cancelling and completing long work, and counts that conserve."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import case, exists, func, select, update
from sqlalchemy.orm import Session

from app.engine.closing import add_counts, end_open_items
from app.engine.goals import cancel_goals
from app.engine.items import has_open_item
from app.engine.money import rate_of
from app.errors import Conflict
from app.pipeline import (
    MODEL_STAGES,
    OPEN_ITEMS,
    UNFINISHED_RUNS,
    ItemState,
    Outcome,
    Priority,
    RunKind,
    RunState,
    Stage,
)
from app.queue import doorbell_for, enqueue_after_commit
from app.storage.tables import Call, CallTally, Run, RunCount, RunEvent, WorkItem

STAGE_OF_KIND = {
    RunKind.INGEST: Stage.INGEST,
    RunKind.IMPORT: Stage.IMPORT,
    RunKind.SELECT: Stage.SELECT,
    RunKind.GENERATE: Stage.GENERATE,
    RunKind.REPLAY: Stage.REPLAY,
    RunKind.TRY: Stage.TRY_PROMPT,
    RunKind.RELEASE: Stage.RELEASE,
}
ASKING = tuple(kind for kind, stage in STAGE_OF_KIND.items() if stage in MODEL_STAGES)
"""The kinds of runs whose items ask a model."""

ASKS_NOTHING = "asks_nothing"  # in a run's progress: it reads stored replies again, and pays for none
RUN_CHANNEL = "run"  # Postgres notifications: the id of a run that moved


class Progress(NamedTuple):
    """Where a run stands. total = sum(done) + pending, in every state."""

    total: int
    done: dict[str, int]
    pending: int
    reasons: dict[str, int]  # why items failed or wait for another try
    calls: dict[str, int]  # by state: sent, done, cached, failed, unknown
    eta_s: float | None


def open_run(
    session: Session,
    project_id: int,
    person_id: int | None,
    kind: RunKind,
    params: dict[str, Any],
    *,
    total: int = 0,
    budget_micro: int | None = None,
    priority: Priority = Priority.NORMAL,
) -> Run:
    """Start a piece of long work. A job's own item is added; a generation adds its items itself."""
    run = Run(
        project_id=project_id,
        person_id=person_id,
        kind=kind,
        state=RunState.QUEUED,
        params=params,
        progress={},
        total=total,
        budget_micro=budget_micro,
        priority=priority,
    )
    session.add(run)
    session.flush()
    note(session, run.id, "started", person_id=person_id)
    stage = STAGE_OF_KIND[kind]
    if stage not in MODEL_STAGES:
        session.add(WorkItem(run_id=run.id, stage=stage, source_id=run.id))
        enqueue_after_commit(session, doorbell_for(stage))
    return run


def note(session: Session, run_id: int, event: str, detail: str = "", person_id: int | None = None) -> None:
    """Add to the run's log what was decided about it; without a person it was the engine."""
    session.add(RunEvent(run_id=run_id, person_id=person_id, event=event, detail=detail))


def tell(session: Session, run_ids: Iterable[int]) -> None:
    """Wake the pages that watch these runs, when the transaction commits."""
    for run_id in run_ids:
        session.execute(select(func.pg_notify(RUN_CHANNEL, str(run_id))))


def mark_started(session: Session, run_ids: Iterable[int]) -> None:
    """A worker has taken the first item."""
    session.execute(
        update(Run)
        .where(Run.id.in_(set(run_ids)), Run.state == RunState.QUEUED)
        .values(state=RunState.RUNNING, started_at=func.coalesce(Run.started_at, func.now()))
        .execution_options(synchronize_session=False)
    )


def pause_run(session: Session, run_id: int, reason: str, person_id: int | None = None) -> None:
    """Hold a run: nothing new is claimed, what is in flight comes home. Raises `Conflict` unless it is going."""
    _move(session, run_id, (RunState.QUEUED, RunState.RUNNING), RunState.PAUSED, reason)
    note(session, run_id, "paused", reason, person_id)


def hold_run(session: Session, run_id: int, reason: str) -> None:
    """Pause by the engine itself; a run that is already held or ended stays as it is."""
    held = session.scalars(
        update(Run)
        .where(Run.id == run_id, Run.state.in_((RunState.QUEUED, RunState.RUNNING)))
        .values(state=RunState.PAUSED, reason=reason)
        .returning(Run.id)
        .execution_options(synchronize_session=False)
    ).all()
    if held:
        note(session, run_id, "paused", reason)


def resume_run(session: Session, run_id: int, person_id: int | None = None) -> None:
    run = _move(session, run_id, (RunState.PAUSED,), RunState.QUEUED, None)
    if run.progress.get(ASKS_NOTHING):
        run.progress = {**run.progress, ASKS_NOTHING: False}
    note(session, run_id, "resumed", person_id=person_id)
    session.flush()
    complete_runs(session)  # what was in flight at the pause may have been the rest
    enqueue_after_commit(session, doorbell_for(STAGE_OF_KIND[RunKind(run.kind)]))


def cancel_run(session: Session, run_id: int, person_id: int | None = None) -> None:
    """End a run for good. What is done stays; what is in flight no longer counts, and may have been billed."""
    run = session.get_one(Run, run_id)
    is_generation = STAGE_OF_KIND[RunKind(run.kind)] in MODEL_STAGES
    if run.state in UNFINISHED_RUNS:
        # Items before the run, as everywhere; a job's single item is no row of its run.
        end_items = end_open_items if is_generation else _drop_job
        end_items(session, run_id, ItemState.CANCELLED, Outcome.CANCELLED)
        cancel_goals(session, run_id)
    run = _move(session, run_id, UNFINISHED_RUNS, RunState.CANCELLED, None)
    run.finished_at = func.now()
    note(session, run_id, "cancelled", person_id=person_id)
    if not is_generation:
        count_rest(session, run, "cancelled")


def cancel_stragglers(session: Session) -> int:
    """End what somebody had locked at the moment its run was cancelled. Returns how many items."""
    runs = session.scalars(
        select(Run.id).where(Run.kind.in_(ASKING), Run.state == RunState.CANCELLED, has_open_item())
    ).all()
    return sum(end_open_items(session, run_id, ItemState.CANCELLED, Outcome.CANCELLED) for run_id in runs)


def reopen_run(session: Session, run_id: int, *, may_ask: bool) -> None:
    """An ended run has something to do again. Raises `Conflict` where it was cancelled or has failed.

    Unless it `may_ask`, it is paused before it asks a model: resuming it lets it.
    """
    run = session.get_one(Run, run_id, with_for_update={"key_share": True}, populate_existing=True)
    if run.state in (RunState.CANCELLED, RunState.FAILED):
        raise Conflict(f"run {run_id} is {run.state}; nothing of it can be done again")
    was_only_reading = run.state == RunState.PAUSED and bool(run.progress.get(ASKS_NOTHING))
    if run.state not in UNFINISHED_RUNS or was_only_reading:
        run.state, run.reason, run.finished_at = RunState.QUEUED, None, None
        run.progress = {**run.progress, ASKS_NOTHING: True}
    if may_ask:
        run.progress = {**run.progress, ASKS_NOTHING: False}
    enqueue_after_commit(session, doorbell_for(STAGE_OF_KIND[RunKind(run.kind)]))


def set_budget(session: Session, run_id: int, budget_micro: int | None, person_id: int | None = None) -> bool:
    """Change or lift the cap of an unfinished run; False where it is that already.

    Raises `Conflict` below what is spent and promised already.
    """
    run = _open_run_of(session, run_id)
    if run.budget_micro == budget_micro:
        return False
    committed = run.cost_micro + run.reserved_micro
    if budget_micro is not None:
        if budget_micro < committed:
            raise Conflict(
                f"${committed / 1e6:.6f} are paid or reserved already; a budget cannot be below that"
            )
        for model in (run.params.get("generator"), run.params.get("discriminator")):
            if model is not None and rate_of(session, str(model)) is None:
                raise Conflict(f"the price of {model} is unknown: set it before the run gets a budget")
    run.budget_micro = budget_micro
    words = "no cap" if budget_micro is None else f"${budget_micro / 1e6:.2f}"
    note(session, run_id, "budget changed", words, person_id)
    return True


def set_priority(session: Session, run_id: int, priority: Priority, person_id: int | None = None) -> bool:
    """Change how much of the calls in flight an unfinished run gets beside others; False where it is that already."""
    run = _open_run_of(session, run_id)
    if run.priority == priority:
        return False
    run.priority = priority
    note(session, run_id, "priority changed", priority, person_id)
    return True


def fail_run(session: Session, run: Run, reason: str) -> None:
    """A job cannot go on: say why, and count what was left."""
    run.state = RunState.FAILED
    run.reason = reason
    run.finished_at = func.now()
    count_rest(session, run, "error")


def count_rows(session: Session, run: Run, counts: dict[str, int]) -> None:
    """Add to a job's counts, in the transaction that writes the rows they count."""
    add_counts(session, {(run.id, code): rows for code, rows in counts.items()})


def count_rest(session: Session, run: Run, code: str) -> None:
    rest = progress_of(session, run).pending
    count_rows(session, run, {code: rest})


def complete_runs(session: Session) -> list[int]:
    """Close the runs that have no open item and are not held. Returns their ids.

    One that somebody has locked is left: the sweeper comes by again.
    """
    failed_item = exists().where(WorkItem.run_id == Run.id, WorkItem.outcome == Outcome.ERROR)
    state = case((failed_item, RunState.COMPLETED_WITH_ERRORS), else_=RunState.COMPLETED)
    over = (
        select(Run.id)
        .where(Run.state.in_((RunState.QUEUED, RunState.RUNNING)), ~has_open_item())
        .with_for_update(of=Run, skip_locked=True, key_share=True)
    )
    completed = session.execute(
        update(Run)
        .where(Run.id.in_(over))
        .values(state=state, finished_at=func.now())
        .returning(Run.id, Run.state)
        .execution_options(synchronize_session=False)
    ).all()
    for run_id, ended_as in completed:
        note(session, run_id, ended_as)
    return [run_id for run_id, _ in completed]


def progress_of(session: Session, run: Run) -> Progress:
    """Where a run stands, from counts that are kept in the transactions that change what they count."""
    rows = session.execute(select(RunCount.code, RunCount.rows).where(RunCount.run_id == run.id))
    done = {code: number for code, number in rows if number}
    reasons = (
        select(WorkItem.error_code, func.count())
        .where(
            WorkItem.run_id == run.id,
            WorkItem.error_code.is_not(None),
            WorkItem.state.in_((ItemState.FAILED, ItemState.PENDING)),
        )
        .group_by(WorkItem.error_code)
    )
    ended = sum(done.values())
    pending = max(0, run.total - ended)
    return Progress(
        total=run.total,
        done=done,
        pending=pending,
        reasons={str(code): rows for code, rows in session.execute(reasons)},
        calls=_calls_of(session, run),
        eta_s=_seconds_left(session, run, ended, pending),
    )


def _calls_of(session: Session, run: Run) -> dict[str, int]:
    """The closed ones from their tally, those in flight one by one: there are never many."""
    if STAGE_OF_KIND[RunKind(run.kind)] not in MODEL_STAGES:
        return {}
    closed = select(CallTally.state, func.sum(CallTally.calls)).where(CallTally.run_id == run.id)
    calls = {state: int(number) for state, number in session.execute(closed.group_by(CallTally.state))}
    in_flight = select(func.count()).where(Call.state == "sent", Call.run_id == run.id)
    calls["sent"] = session.scalars(in_flight).one()
    return {state: number for state, number in calls.items() if number}


def _seconds_left(session: Session, run: Run, ended: int, pending: int) -> float | None:
    if run.state != RunState.RUNNING or run.started_at is None or not ended or not pending:
        return None
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return round((now - run.started_at).total_seconds() / ended * pending, 1)


def _open_run_of(session: Session, run_id: int) -> Run:
    run = session.get_one(Run, run_id, with_for_update={"key_share": True}, populate_existing=True)
    if run.state not in UNFINISHED_RUNS:
        raise Conflict(f"run {run_id} is {run.state}")
    return run


def _drop_job(session: Session, run_id: int, state: ItemState, _: Outcome) -> None:
    """A job counts rows, not items: its own item only loses its holder."""
    session.execute(
        update(WorkItem)
        .where(WorkItem.run_id == run_id, WorkItem.state.in_(OPEN_ITEMS))
        .values(
            state=state,
            lease_epoch=WorkItem.lease_epoch + 1,
            lease_owner=None,
            lease_expires_at=None,
            finished_at=func.now(),
        )
        .execution_options(synchronize_session=False)
    )


def _move(
    session: Session, run_id: int, allowed: Collection[str], state: RunState, reason: str | None
) -> Run:
    run = session.get_one(Run, run_id, with_for_update={"key_share": True}, populate_existing=True)
    if run.state not in allowed:
        raise Conflict(f"run {run_id} is {run.state}; it cannot become {state}")
    run.state = state
    run.reason = reason
    return run

"""Runs: opening, pausing, resuming, cancelling and completing long work, and counts that conserve."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import case, exists, func, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from app.engine.items import cancel_items
from app.errors import Conflict
from app.pipeline import MODEL_STAGES, UNFINISHED_RUNS, ItemState, Outcome, RunKind, RunState, Stage
from app.queue import doorbell_for, enqueue_after_commit
from app.storage.tables import Run, RunCount, WorkItem

STAGE_OF_KIND = {
    RunKind.INGEST: Stage.INGEST,
    RunKind.SELECT: Stage.SELECT,
    RunKind.GENERATE: Stage.GENERATE,
    RunKind.RELEASE: Stage.RELEASE,
}


RUN_CHANNEL = "run"  # Postgres notifications: the id of a run that moved


class Progress(NamedTuple):
    """Where a run stands. total = sum(done) + pending, in every state."""

    total: int
    done: dict[str, int]
    pending: int
    reasons: dict[str, int]  # why items failed or wait for another try
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
    )
    session.add(run)
    session.flush()
    stage = STAGE_OF_KIND[kind]
    if stage not in MODEL_STAGES:
        session.add(WorkItem(run_id=run.id, stage=stage, source_id=run.id))
        enqueue_after_commit(session, doorbell_for(stage))
    return run


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


def pause_run(session: Session, run_id: int, reason: str) -> None:
    """Hold a run: nothing new is claimed, what is in flight comes home. Raises `Conflict` unless it is going."""
    _move(session, run_id, (RunState.QUEUED, RunState.RUNNING), RunState.PAUSED, reason)


def hold_run(session: Session, run_id: int, reason: str) -> None:
    """Pause by the engine itself; a run that is already held or ended stays as it is."""
    session.execute(
        update(Run)
        .where(Run.id == run_id, Run.state.in_((RunState.QUEUED, RunState.RUNNING)))
        .values(state=RunState.PAUSED, reason=reason)
        .execution_options(synchronize_session=False)
    )


def resume_run(session: Session, run_id: int) -> None:
    run = _move(session, run_id, (RunState.PAUSED,), RunState.QUEUED, None)
    session.flush()
    complete_runs(session)  # what was in flight at the pause may have been the rest
    enqueue_after_commit(session, doorbell_for(STAGE_OF_KIND[RunKind(run.kind)]))


def cancel_run(session: Session, run_id: int) -> None:
    """End a run for good. What is done stays; what is in flight no longer counts, and may have been billed."""
    run = _move(session, run_id, UNFINISHED_RUNS, RunState.CANCELLED, None)
    run.finished_at = func.now()
    cancel_items(session, run_id)
    if STAGE_OF_KIND[RunKind(run.kind)] not in MODEL_STAGES:
        count_rest(session, run, "cancelled")


def fail_run(session: Session, run: Run, reason: str) -> None:
    """A job cannot go on: say why, and count what was left."""
    run.state = RunState.FAILED
    run.reason = reason
    run.finished_at = func.now()
    count_rest(session, run, "error")


def count_rows(session: Session, run: Run, counts: dict[str, int]) -> None:
    """Add to a job's counts, in the transaction that writes the rows they count."""
    rows = [{"run_id": run.id, "code": code, "rows": rows} for code, rows in counts.items() if rows]
    if not rows:
        return
    statement = postgresql.insert(RunCount).values(rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[RunCount.run_id, RunCount.code],
            set_={"rows": RunCount.rows + statement.excluded.rows},
        )
    )


def count_rest(session: Session, run: Run, code: str) -> None:
    rest = progress_of(session, run).pending
    count_rows(session, run, {code: rest})


def complete_runs(session: Session) -> list[int]:
    """Close the runs that have no open item and are not held. Returns their ids."""
    open_item = exists().where(
        WorkItem.run_id == Run.id, WorkItem.state.in_((ItemState.PENDING, ItemState.LEASED))
    )
    failed_item = exists().where(WorkItem.run_id == Run.id, WorkItem.outcome == Outcome.ERROR)
    state = case((failed_item, RunState.COMPLETED_WITH_ERRORS), else_=RunState.COMPLETED)
    return list(
        session.scalars(
            update(Run)
            .where(Run.state.in_((RunState.QUEUED, RunState.RUNNING)), ~open_item)
            .values(state=state, finished_at=func.now())
            .returning(Run.id)
            .execution_options(synchronize_session=False)
        )
    )


def progress_of(session: Session, run: Run) -> Progress:
    """Count what became of a run's rows, from the rows themselves."""
    rows = session.execute(select(RunCount.code, RunCount.rows).where(RunCount.run_id == run.id))
    done = {code: number for code, number in rows}
    if STAGE_OF_KIND[RunKind(run.kind)] in MODEL_STAGES:
        outcomes = (
            select(WorkItem.outcome, func.count())
            .where(WorkItem.run_id == run.id, WorkItem.outcome.is_not(None))
            .group_by(WorkItem.outcome)
        )
        done |= {str(outcome): rows for outcome, rows in session.execute(outcomes)}
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
        eta_s=_seconds_left(session, run, ended, pending),
    )


def _seconds_left(session: Session, run: Run, ended: int, pending: int) -> float | None:
    if run.state != RunState.RUNNING or run.started_at is None or not ended or not pending:
        return None
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return round((now - run.started_at).total_seconds() / ended * pending, 1)


def _move(
    session: Session, run_id: int, allowed: Collection[str], state: RunState, reason: str | None
) -> Run:
    run = session.get_one(Run, run_id, with_for_update=True, populate_existing=True)
    if run.state not in allowed:
        raise Conflict(f"run {run_id} is {run.state}; it cannot become {state}")
    run.state = state
    run.reason = reason
    return run

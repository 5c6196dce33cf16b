"""Steering long work by hand; every step is logged."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from sqlalchemy.orm import Session

from app.accounts.log import log
from app.engine.runs import Progress, cancel_run, pause_run, progress_of, resume_run
from app.runs import queries
from app.runs.shapes import RunShape
from app.storage.tables import Run

Step = Literal["pause", "resume", "cancel"]


class SeenRun(NamedTuple):
    run: Run
    progress: Progress


def seen(session: Session, run: Run) -> SeenRun:
    return SeenRun(run, progress_of(session, run))


def steer(session: Session, project_id: int, run_id: int, step: Step, person_id: int) -> SeenRun:
    """Pause, resume or cancel a run. Raises `Conflict` where its state does not allow that."""
    act, words = _STEPS[step]
    queries.run_of(session, project_id, run_id)
    act(session, run_id)
    session.flush()
    log(session, person_id, words, f"run {run_id}", project_id=project_id)
    run = queries.run_of(session, project_id, run_id)
    session.refresh(run)
    return seen(session, run)


def _pause_by_hand(session: Session, run_id: int) -> None:
    pause_run(session, run_id, "by hand")


_STEPS: dict[Step, tuple[Callable[[Session, int], None], str]] = {
    "pause": (_pause_by_hand, "run paused"),
    "resume": (resume_run, "run resumed"),
    "cancel": (cancel_run, "run cancelled"),
}


def shape_of(run: Run, progress: Progress) -> RunShape:
    return RunShape(
        id=run.id,
        kind=run.kind,
        state=run.state,
        reason=run.reason,
        **progress._asdict(),
        cost_usd=run.cost_micro / 1e6,
        reserved_usd=run.reserved_micro / 1e6,
        budget_usd=None if run.budget_micro is None else run.budget_micro / 1e6,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        params=run.params,
    )

"""Steering long work by hand; every step is logged."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from sqlalchemy.orm import Session

from app.accounts.log import log
from app.engine.calls import write_off
from app.engine.money import checked_budget
from app.engine.rereading import Found, Rereaders, look, read_again
from app.engine.retry import retry_items
from app.engine.runs import (
    Progress,
    cancel_run,
    pause_run,
    progress_of,
    resume_run,
    set_budget,
    set_priority,
)
from app.errors import Conflict, InvalidInput
from app.pipeline import Outcome, Priority, RunKind
from app.runs import queries
from app.runs.queries import Exhibit
from app.runs.shapes import ExampleShape, ItemShape, RereadShape, RunShape
from app.runs.standing import standing_of
from app.storage.locks import lock_steering
from app.storage.tables import CallTally, Run

Step = Literal["pause", "resume", "cancel"]


class SeenRun(NamedTuple):
    run: Run
    progress: Progress
    standing: str | None = None  # why nothing of it moves


def seen(session: Session, run: Run) -> SeenRun:
    return SeenRun(run, progress_of(session, run), standing_of(session, run))


def steer(session: Session, project_id: int, run_id: int, step: Step, person_id: int) -> SeenRun:
    """Pause, resume or cancel a run. Raises `Conflict` where its state does not allow that."""
    act, words = _STEPS[step]
    run = queries.run_of(session, project_id, run_id)
    lock_steering(session, run_id)
    act(session, run_id, person_id)
    log(session, person_id, words, f"run {run_id}", project_id=project_id)
    return _as_it_is(session, run)


def change_budget(
    session: Session, project_id: int, run_id: int, budget_usd: float | None, person_id: int
) -> SeenRun:
    """Change or lift the cap of an unfinished run. Raises `Conflict` below what is spent and promised."""
    run = _held(session, project_id, run_id)
    if set_budget(session, run.id, checked_budget(budget_usd), person_id):
        log(session, person_id, "budget changed", f"run {run_id}", {"usd": budget_usd}, project_id=project_id)
    return _as_it_is(session, run)


def change_priority(session: Session, project_id: int, run_id: int, priority: str, person_id: int) -> SeenRun:
    run = _held(session, project_id, run_id)
    if priority not in set(Priority):
        raise InvalidInput(f"priority must be one of {', '.join(Priority)}", "priority")
    if set_priority(session, run.id, Priority(priority), person_id):
        log(session, person_id, "priority changed", f"run {run_id}", {"to": priority}, project_id=project_id)
    return _as_it_is(session, run)


def retry(
    session: Session,
    project_id: int,
    run_id: int,
    outcome: str,
    how: Literal["reparse", "ask"],
    person_id: int,
) -> SeenRun:
    """Do again what ended with `outcome`. Raises `Conflict` where there is nothing that could be."""
    run = _held(session, project_id, run_id)
    if outcome not in set(Outcome):
        raise InvalidInput(f"there is no outcome {outcome}", "outcome")
    items = retry_items(session, run.id, Outcome(outcome), reparse=how == "reparse", person_id=person_id)
    detail = {"outcome": outcome, "how": how, "items": items}
    log(session, person_id, "items retried", f"run {run_id}", detail, project_id=project_id)
    return _as_it_is(session, run)


def look_again(session: Session, project_id: int, run_id: int, rereaders: Rereaders, after: int) -> Found:
    """What reading the stored replies again would change. Raises `Conflict` for a run that is going."""
    run = _generation(session, project_id, run_id)
    return look(session, run.id, rereaders, after)


def reparse(
    session: Session, project_id: int, run_id: int, rereaders: Rereaders, after: int, person_id: int | None
) -> tuple[Found, SeenRun]:
    """Read the stored replies again, and go on from what they say now. Raises `Conflict` for a run that is going."""
    run = _held(session, project_id, run_id)
    found = read_again(session, run.id, rereaders, after, person_id)
    log(
        session,
        person_id,
        "replies read again",
        f"run {run_id}",
        {str(came): rows for came, rows in found.counts.items()},
        project_id=project_id,
    )
    return found, _as_it_is(session, run)


def write_off_calls(session: Session, project_id: int, run_id: int, person_id: int) -> tuple[int, SeenRun]:
    """Give back what is reserved for calls that may have been billed. Returns how many there were."""
    run = _held(session, project_id, run_id)
    calls = write_off(session, run.id, person_id)
    if calls:
        log(session, person_id, "calls written off", f"run {run_id}", {"calls": calls}, project_id=project_id)
    return calls, _as_it_is(session, run)


def exhibits(
    session: Session, run_id: int, outcome: Outcome | None, after: int | None, limit: int
) -> list[Exhibit]:
    """Items that ended with `outcome`, or without one those that wait for another try; by id."""
    if outcome is None:
        return queries.waiting_exhibits(session, run_id, limit, after)
    return queries.exhibits(session, run_id, outcome, limit, after)


def item_shape(exhibit: Exhibit) -> ItemShape:
    item, call = exhibit
    return ItemShape(
        id=item.id,
        instance_id=item.source_id,
        stage=item.stage,
        outcome=item.outcome,
        attempts=item.attempts,
        error_code=item.error_code,
        error_detail=item.error_detail,
        call_state=call and call.state,
        model=call and call.model,
        finish_reason=call and call.finish_reason,
        refusal=call and call.refusal,
        reply=call and call.reply,
    )


class Costs(NamedTuple):
    """What a run has cost, and what one good instance costs; micro-dollars."""

    spend: Sequence[CallTally]
    per_passed: float | None
    accepted: int
    per_accepted: float | None


def costs(session: Session, run: Run, progress: Progress) -> Costs:
    passed = progress.done.get(Outcome.PASSED, 0)
    accepted = queries.accepted(session, run.id)
    return Costs(
        spend=queries.spend(session, run.id),
        per_passed=run.cost_micro / passed if passed else None,
        accepted=accepted,
        per_accepted=run.cost_micro / accepted if accepted else None,
    )


def reread_shape(found: Found, after: SeenRun | None = None) -> RereadShape:
    return RereadShape(
        **{came.value: rows for came, rows in found.counts.items()},
        examples=[ExampleShape(**one._asdict()) for one in found.examples],
        next=found.following,
        run=None if after is None else shape_of(*after),
    )


def _generation(session: Session, project_id: int, run_id: int) -> Run:
    run = queries.run_of(session, project_id, run_id)
    if run.kind != RunKind.GENERATE:
        raise Conflict(f"run {run_id} is no generation: it has no calls, budget or priority")
    return run


def _held(session: Session, project_id: int, run_id: int) -> Run:
    """A generation that nobody else steers meanwhile."""
    run = _generation(session, project_id, run_id)
    lock_steering(session, run_id)
    return run


def _as_it_is(session: Session, run: Run) -> SeenRun:
    session.flush()
    session.refresh(run)
    return seen(session, run)


def _pause_by_hand(session: Session, run_id: int, person_id: int) -> None:
    pause_run(session, run_id, "by hand", person_id)


_STEPS: dict[Step, tuple[Callable[[Session, int, int], None], str]] = {
    "pause": (_pause_by_hand, "run paused"),
    "resume": (resume_run, "run resumed"),
    "cancel": (cancel_run, "run cancelled"),
}


def shape_of(run: Run, progress: Progress, standing: str | None = None) -> RunShape:
    return RunShape(
        id=run.id,
        kind=run.kind,
        state=run.state,
        reason=run.reason,
        standing=standing,
        **progress._asdict(),
        cost_usd=run.cost_micro / 1e6,
        reserved_usd=run.reserved_micro / 1e6,
        budget_usd=None if run.budget_micro is None else run.budget_micro / 1e6,
        priority=run.priority,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        params=run.params,
    )

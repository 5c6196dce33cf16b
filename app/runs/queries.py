"""Runs and what became of their items."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.pipeline import InstanceStatus, ItemState
from app.storage.keyset import newest_first
from app.storage.tables import Call, CallTally, Instance, Person, Rejection, Run, RunEvent, Template, WorkItem


class Exhibit(NamedTuple):
    """An item that did not go well, with the raw reply of its last call."""

    item: WorkItem
    call: Call | None


def runs_of(session: Session, project_id: int, before: int | None, limit: int) -> Sequence[Run]:
    """The newest first; `before` is the id of the last one already seen."""
    runs = select(Run).where(Run.project_id == project_id)
    return session.scalars(newest_first(runs, Run.id, before, limit)).all()


def run_of(session: Session, project_id: int, run_id: int) -> Run:
    run = session.get(Run, run_id)
    if run is None or run.project_id != project_id:
        raise NotFound(f"there is no run {run_id} in this project")
    return run


def starters(session: Session, runs: Sequence[Run]) -> dict[int, str]:
    """Names of the people who started `runs`, by person."""
    ids = {run.person_id for run in runs if run.person_id is not None}
    return {
        person_id: name
        for person_id, name in session.execute(select(Person.id, Person.name).where(Person.id.in_(ids)))
    }


def exhibits(
    session: Session, run_id: int, outcome: str, limit: int, after: int | None = None
) -> list[Exhibit]:
    """Items of a run that ended with `outcome`, by id from the one after `after`, each with its last call."""
    items = session.scalars(
        select(WorkItem)
        .where(WorkItem.run_id == run_id, WorkItem.outcome == outcome, WorkItem.id > (after or 0))
        .order_by(WorkItem.id)
        .limit(limit)
    ).all()
    return _with_last_call(session, items)


def waiting_exhibits(session: Session, run_id: int, limit: int, after: int | None = None) -> list[Exhibit]:
    """Items that wait for another try, with the call that stopped them."""
    items = session.scalars(
        select(WorkItem)
        .where(
            WorkItem.run_id == run_id,
            WorkItem.state == ItemState.PENDING,
            WorkItem.error_code.is_not(None),
            WorkItem.id > (after or 0),
        )
        .order_by(WorkItem.id)
        .limit(limit)
    ).all()
    return _with_last_call(session, items)


def _with_last_call(session: Session, items: Sequence[WorkItem]) -> list[Exhibit]:
    last_of_each = (
        select(func.max(Call.id)).where(Call.item_id.in_([item.id for item in items])).group_by(Call.item_id)
    )
    last_calls = session.scalars(select(Call).where(Call.id.in_(last_of_each)))
    by_item = {call.item_id: call for call in last_calls}
    return [Exhibit(item, by_item.get(item.id)) for item in items]


def rejections(session: Session, run_id: int) -> dict[str, list[Rejection]]:
    """The exhibits of an ingestion's rejection ledger, by rule."""
    by_rule: dict[str, list[Rejection]] = {}
    statement = select(Rejection).where(Rejection.run_id == run_id).order_by(Rejection.rule, Rejection.id)
    for rejection in session.scalars(statement):
        by_rule.setdefault(rejection.rule, []).append(rejection)
    return by_rule


def lost_calls(session: Session, run_id: int) -> Sequence[Call]:
    """Calls that may have been billed without a reply."""
    statement = select(Call).where(Call.run_id == run_id, Call.state == "unknown").order_by(Call.id).limit(50)
    return session.scalars(statement).all()


def unwritten_calls(session: Session, run_id: int) -> int:
    """How many calls may have been billed and still hold their reservation."""
    statement = select(func.count()).where(
        Call.run_id == run_id, Call.state == "unknown", Call.written_off_at.is_(None)
    )
    return session.scalars(statement).one()


def events(
    session: Session, run_id: int, before: int | None, limit: int
) -> list[tuple[RunEvent, str | None]]:
    """What was decided about a run, the newest first, with the name of whoever did."""
    events = (
        select(RunEvent, Person.name)
        .outerjoin(Person, Person.id == RunEvent.person_id)
        .where(RunEvent.run_id == run_id)
    )
    found = session.execute(newest_first(events, RunEvent.id, before, limit))
    return [(event, name) for event, name in found]


def spend(session: Session, run_id: int) -> Sequence[CallTally]:
    """What the closed calls of a run come to, by stage, model and state."""
    statement = (
        select(CallTally)
        .where(CallTally.run_id == run_id, CallTally.calls > 0)
        .order_by(CallTally.stage.desc(), CallTally.model, CallTally.state)
        .execution_options(populate_existing=True)
    )
    return session.scalars(statement).all()


def calls_a_minute(session: Session, run_id: int) -> int:
    """Calls of a run that were closed within the last minute."""
    recent = func.now() - timedelta(minutes=1)
    return session.scalars(select(func.count()).where(Call.run_id == run_id, Call.closed_at > recent)).one()


def accepted(session: Session, run_id: int) -> int:
    """How many of a run's instances people accepted."""
    is_accepted = Instance.status == InstanceStatus.ACCEPTED
    return session.scalars(select(func.count()).where(Instance.run_id == run_id, is_accepted)).one()


def template_name(session: Session, content_hash: str) -> str | None:
    """What a template was called when it was first used."""
    return session.scalar(select(Template.name).where(Template.content_hash == content_hash))

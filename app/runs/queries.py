"""Runs and what became of their items."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.storage.tables import Call, Person, Rejection, Run, WorkItem


class Exhibit(NamedTuple):
    """An item that did not go well, with the raw reply of its last call."""

    item: WorkItem
    call: Call | None


def runs_of(session: Session, project_id: int, before: int | None, limit: int) -> Sequence[Run]:
    """The newest first; `before` is the id of the last one already seen."""
    statement = select(Run).where(Run.project_id == project_id).order_by(Run.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(Run.id < before)
    return session.scalars(statement).all()


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


def exhibits(session: Session, run_id: int, outcome: str, limit: int = 20) -> list[Exhibit]:
    """Items of a run that ended with `outcome`, each with its last call."""
    items = session.scalars(
        select(WorkItem)
        .where(WorkItem.run_id == run_id, WorkItem.outcome == outcome)
        .order_by(WorkItem.id)
        .limit(limit)
    ).all()
    last_of_each = (
        select(func.max(Call.id)).where(Call.item_id.in_([item.id for item in items])).group_by(Call.item_id)
    )
    last_calls = session.scalars(select(Call).where(Call.id.in_(last_of_each)))
    by_item = {call.item_id: call for call in last_calls}
    return [Exhibit(item, by_item.get(item.id)) for item in items]


def waiting_exhibits(session: Session, run_id: int, limit: int = 5) -> list[Exhibit]:
    """Items that wait for another try, with the call that stopped them."""
    calls = session.execute(
        select(WorkItem, Call)
        .join(Call, Call.item_id == WorkItem.id)
        .where(WorkItem.run_id == run_id, WorkItem.state == "pending", WorkItem.error_code.is_not(None))
        .order_by(Call.id.desc())
        .limit(limit)
    )
    return [Exhibit(item, call) for item, call in calls]


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

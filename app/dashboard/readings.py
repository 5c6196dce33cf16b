"""What several people said, blind, about the same instances. Touches the tables, reading only."""

from collections import defaultdict
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Subquery, exists, func, select, true, tuple_
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session, aliased

from app.dashboard.agreement import ANSWERS, Pattern
from app.dashboard.progress import Period, within
from app.pipeline import Stream
from app.storage.tables import Decision, Instance, Person, ReviewPolicy

MOST_DISAGREEMENTS = 10


def _is_reading(row: type[Decision], project_id: int) -> list[ColumnElement[bool]]:
    """A standing answer that a reader gave: no skip, no adjudicator's word, nothing done in bulk."""
    return [
        row.project_id == project_id,
        row.stream == Stream.WORK,
        row.action.in_(ANSWERS),
        row.undone_at.is_(None),
        row.bulk_action_id.is_(None),
        ~row.is_adjudication,
    ]


def _units(project_id: int, period: Period) -> Subquery:
    """Instances in a round of reading, of which two readings or more fall into the period."""
    return (
        select(
            Decision.instance_id,
            func.array_agg(aggregate_order_by(Decision.person_id, Decision.person_id)).label("people"),
            func.array_agg(aggregate_order_by(Decision.action, Decision.person_id)).label("answers"),
        )
        .where(*_is_reading(Decision, project_id), within(Decision.created_at, period))
        .group_by(Decision.instance_id, Decision.round)
        .having(func.count() > 1)
        .subquery()
    )


def _alike(units: Subquery, *of: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    """Equal units counted together, in the order of Pattern."""
    kinds = (*of, units.c.people, units.c.answers)
    return select(*kinds, func.count()).group_by(*kinds)


def patterns(session: Session, project_id: int, period: Period) -> list[Pattern]:
    """Who said what of the same instances."""
    return [Pattern(*row) for row in session.execute(_alike(_units(project_id, period)))]


def patterns_by_task(
    session: Session, project_id: int, period: Period
) -> dict[tuple[str, str], list[Pattern]]:
    """As `patterns`, for each task and language."""
    units = _units(project_id, period)
    # One look into the index a unit; a plain join is planned as a walk over every instance there is.
    about = select(Instance.task, Instance.language).where(Instance.id == units.c.instance_id).limit(1)
    instance = about.lateral()
    query = _alike(units, instance.c.task, instance.c.language).join_from(units, instance, true())
    found: defaultdict[tuple[str, str], list[Pattern]] = defaultdict(list)
    for task, language, *pattern in session.execute(query):
        found[task, language].append(Pattern(*pattern))
    return found


class Disagreement(NamedTuple):
    """An instance whose readers gave different answers. `said`: (person, action), in order."""

    instance_id: int
    status: str
    task: str
    language: str
    instruction: str
    said: list[tuple[str, str]]


def disagreements(session: Session, project_id: int, period: Period) -> list[Disagreement]:
    """The newest, open and resolved ones."""
    other = aliased(Decision)
    differs = exists().where(
        *_is_reading(other, project_id),
        other.instance_id == Decision.instance_id,
        other.round == Decision.round,
        other.id < Decision.id,
        other.action != Decision.action,
    )
    newest = (
        select(Decision.instance_id, Decision.round)
        .where(*_is_reading(Decision, project_id), within(Decision.created_at, period), differs)
        .order_by(Decision.created_at.desc(), Decision.id.desc())
        .limit(MOST_DISAGREEMENTS)
    )
    found = dict.fromkeys((instance_id, number) for instance_id, number in session.execute(newest))
    said = _said(session, project_id, list(found))
    rows = select(
        Instance.id, Instance.status, Instance.task, Instance.language, func.left(Instance.instruction, 300)
    ).where(Instance.id.in_({instance_id for instance_id, _ in found}))
    about = {row[0]: row for row in session.execute(rows)}
    return [
        Disagreement(*about[instance_id], said=said[instance_id, number]) for instance_id, number in found
    ]


def _said(
    session: Session, project_id: int, of: list[tuple[int, int]]
) -> defaultdict[tuple[int, int], list[tuple[str, str]]]:
    query = (
        select(Decision.instance_id, Decision.round, Person.name, Decision.action)
        .join(Person, Person.id == Decision.person_id)
        .where(*_is_reading(Decision, project_id), tuple_(Decision.instance_id, Decision.round).in_(of))
        .order_by(Decision.id)
    )
    said: defaultdict[tuple[int, int], list[tuple[str, str]]] = defaultdict(list)
    for instance_id, number, name, action in session.execute(query):
        said[instance_id, number].append((name, action))
    return said


def is_blind(session: Session, project_id: int) -> bool:
    """Whether readers are kept from seeing what others said before they answer."""
    policy = session.get(ReviewPolicy, project_id)
    return policy is None or policy.opinions_visible != "open"

"""What people have decided, and how long they take. Touches the tables, reading only."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.pipeline import HAVE_TEXT, Action, Role, Stream
from app.storage.tables import (
    BulkAction,
    Decision,
    Instance,
    Membership,
    Person,
    ReaderLanguages,
    ReviewPolicy,
)

DECIDING = (Action.ACCEPT, Action.EDIT, Action.REJECT)
LONGEST_S = 600
"""A longer pause counts as this much: whoever went for lunch did not read for an hour."""


class Period(StrEnum):
    """Days are those of the database."""

    TODAY = "today"
    WEEK = "week"
    MONTH = "month"
    ALL = "all"


DAYS = {Period.WEEK: 7, Period.MONTH: 30}


def within(moment: InstrumentedAttribute[datetime], period: Period) -> ColumnElement[bool]:
    return true() if period == Period.ALL else moment >= _begin_of(period)


def _begin_of(period: Period) -> ColumnElement[datetime]:
    if period == Period.TODAY:
        return func.date_trunc("day", func.now())
    return func.now() - timedelta(days=DAYS[period])


# --- decisions --------------------------------------------------------------------------------------------


class Tally(NamedTuple):
    """Standing decisions. The first three ignore the period that is asked for, the others are of that period."""

    today: int = 0  # decided: accepted, edited or rejected, one by one
    week: int = 0
    ever: int = 0
    accept: int = 0
    edit: int = 0
    reject: int = 0
    skip: int = 0
    bulk: int = 0  # in none of the others

    @property
    def decided(self) -> int:
        return self.accept + self.edit + self.reject


def total(tallies: Iterable[Tally]) -> Tally:
    return Tally(*(sum(column) for column in zip(Tally(), *tallies, strict=True)))


Tallies = dict[tuple[int, str], Tally]
"""By person and stream."""


def tallies(session: Session, project_id: int, period: Period) -> Tallies:
    """Of everybody who decided or skipped anything in the project, adjudicators included."""
    query = (
        select(
            Decision.person_id,
            Decision.stream,
            Decision.action,
            _number_within(Period.TODAY),
            _number_within(Period.WEEK),
            _number_within(Period.ALL),
            _number_within(period),
        )
        .where(
            Decision.project_id == project_id,
            Decision.undone_at.is_(None),
            Decision.bulk_action_id.is_(None),
        )
        .group_by(Decision.person_id, Decision.stream, Decision.action)
        .having(Decision.action.in_(list(Action)))
    )
    found: Tallies = {}
    for person_id, stream, action, today, week, ever, asked in session.execute(query):
        tally = found.get((person_id, stream), Tally())
        if action in DECIDING:
            tally = tally._replace(today=tally.today + today, week=tally.week + week, ever=tally.ever + ever)
        found[person_id, stream] = tally._replace(**{action: asked})
    for person_id, number in _in_bulk(session, project_id, period).items():
        key = (person_id, Stream.WORK)
        found[key] = found.get(key, Tally())._replace(bulk=number)
    return found


def _number_within(period: Period) -> ColumnElement[int]:
    """The begin is a subquery so that it is worked out once, not for each of 200,000 rows."""
    if period == Period.ALL:
        return func.count()
    return func.count().filter(Decision.created_at >= select(_begin_of(period)).scalar_subquery())


def _in_bulk(session: Session, project_id: int, period: Period) -> dict[int, int]:
    """Counted by the actions: their decisions may be a million rows."""
    standing = func.sum(BulkAction.count - func.coalesce(BulkAction.taken_back, 0))
    query = (
        select(BulkAction.person_id, standing.filter(within(BulkAction.created_at, period)))
        .where(BulkAction.project_id == project_id)
        .group_by(BulkAction.person_id)
    )
    return {person_id: int(number or 0) for person_id, number in session.execute(query)}


def by_stream(found: Tallies) -> dict[str, Tally]:
    """Those in which somebody has decided."""
    streams: dict[str, list[Tally]] = defaultdict(list)
    for (_, stream), tally in found.items():
        streams[stream].append(tally)
    return {stream: total(streams[stream]) for stream in Stream if stream in streams}


def of_person(found: Tallies, person_id: int) -> Tally:
    return total(tally for (someone, _), tally in found.items() if someone == person_id)


class Reader(NamedTuple):
    person_id: int
    name: str
    languages: list[str]  # none: every language


def readers(session: Session, project_id: int, found: Tallies) -> list[Reader]:
    """Whoever may review in the project or has, by name."""
    may_review = (
        select(Membership.person_id)
        .where(
            or_(Membership.project_id.is_(None), Membership.project_id == project_id),
            Membership.role.in_((Role.ANNOTATOR, Role.ADMIN)),
        )
        .scalar_subquery()
    )
    query = (
        select(Person.id, Person.name, ReaderLanguages.languages)
        .outerjoin(
            ReaderLanguages,
            (ReaderLanguages.person_id == Person.id) & (ReaderLanguages.project_id == project_id),
        )
        .where(or_(Person.active & Person.id.in_(may_review), Person.id.in_({key[0] for key in found})))
        .order_by(Person.name)
    )
    return [Reader(person_id, name, chosen or []) for person_id, name, chosen in session.execute(query)]


# --- tasks and languages ----------------------------------------------------------------------------------


def statuses_by_task(session: Session, project_id: int) -> dict[tuple[str, str], dict[str, int]]:
    """Instances by status, for each task and language."""
    query = (
        select(Instance.task, Instance.language, Instance.status, func.count())
        .where(Instance.project_id == project_id, Instance.status.in_(HAVE_TEXT))
        .group_by(Instance.task, Instance.language, Instance.status)
        .order_by(Instance.task, Instance.language)
    )
    found: dict[tuple[str, str], dict[str, int]] = {}
    for task, language, status, number in session.execute(query):
        found.setdefault((task, language), {})[status] = number
    return found


# --- how long it takes ------------------------------------------------------------------------------------


class Speed(NamedTuple):
    """Seconds a decision, skips and adjudications apart."""

    decisions: int
    median: float
    ninth_decile: float


def speeds(
    session: Session, project_id: int, period: Period, person_id: int | None = None
) -> dict[int, Speed]:
    """By person, or of one. A reading begins when the instance was given, or when the decision before was made,
    whichever is later: the next instance is given while the present one is still being read."""
    spent = func.date_part("epoch", Decision.created_at - func.greatest(Decision.leased_at, _before()))
    timed = (
        select(
            Decision.person_id,
            spent.label("spent"),
            (Decision.undone_at.is_(None) & ~Decision.is_adjudication & Decision.action.in_(DECIDING)).label(
                "counts"
            ),
        )
        .where(
            Decision.project_id == project_id,
            Decision.bulk_action_id.is_(None),
            within(Decision.created_at, period),
            true() if person_id is None else Decision.person_id == person_id,
        )
        .subquery()
    )
    seconds = func.least(timed.c.spent, LONGEST_S)
    query = (
        select(
            timed.c.person_id,
            func.count(),
            func.percentile_cont(0.5).within_group(seconds),
            func.percentile_cont(0.9).within_group(seconds),
        )
        .where(timed.c.counts, timed.c.spent.is_not(None))
        .group_by(timed.c.person_id)
    )
    return {
        person_id: Speed(decisions, float(median), float(ninth_decile))
        for person_id, decisions, median, ninth_decile in session.execute(query)
    }


def _before() -> ColumnElement[datetime]:
    """When the same person decided the last time; what they took back since took its time, too."""
    return func.lag(Decision.created_at).over(partition_by=Decision.person_id, order_by=Decision.created_at)


def speed_visible(session: Session, project_id: int) -> bool:
    """Whether the project shows leads how long others take."""
    policy = session.get(ReviewPolicy, project_id)
    return policy is not None and policy.speed_visible

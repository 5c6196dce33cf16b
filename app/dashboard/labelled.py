"""What people said of the instances that a filter lets through, by verdict. Touches the tables, reading only."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, Subquery, func, select, true
from sqlalchemy.orm import Session

from app.dashboard.drawn import draws_by_verdict, newest_read_audit
from app.dashboard.estimates import PREDICTION, Design, Estimates, Level, estimates
from app.dashboard.progress import Period, within
from app.pipeline import OPEN_TO_PEOPLE, READINGS, Action, InstanceStatus, Stream
from app.storage.tables import Decision, Instance

DECIDED = (InstanceStatus.ACCEPTED, InstanceStatus.REJECTED)


class Filters(NamedTuple):
    """Which instances are meant, of those that have a text and are not withdrawn. None lets everything through."""

    task: str | None = None
    language: str | None = None
    verdict: str | None = None


class OfVerdict(NamedTuple):
    """The instances with one verdict."""

    verdict: str | None
    instances: int
    labels: int  # of these have one, given within the period
    good: int  # of the labels
    in_bulk: int  # instances that are decided though nobody read them


class Estimated(NamedTuple):
    """What the labels of one design tell about the instances of a filter."""

    design: Design
    verdicts: Sequence[OfVerdict]
    figures: Estimates

    @property
    def instances(self) -> int:
        return sum(one.instances for one in self.verdicts)

    @property
    def labels(self) -> int:
        return sum(one.labels for one in self.verdicts)

    @property
    def good(self) -> int:
        return sum(one.good for one in self.verdicts)

    @property
    def in_bulk(self) -> int:
        return sum(one.in_bulk for one in self.verdicts)


def estimated(session: Session, project_id: int, filters: Filters, period: Period) -> list[Estimated]:
    """By design, those that there are labels for; of the queue always."""
    found = [_estimated(Design.QUEUE, queue_by_verdict(session, project_id, filters, period))]
    audit = newest_read_audit(session, project_id)
    if audit is not None:
        drawn = draws_by_verdict(session, audit, _matching(filters))
        found.append(_estimated(Design.AUDIT, [OfVerdict(*one, in_bulk=0) for one in drawn]))
    return [one for one in found if one.instances or one.design is Design.QUEUE]


def _estimated(design: Design, verdicts: Sequence[OfVerdict]) -> Estimated:
    levels = [Level(PREDICTION[one.verdict], one.instances, one.labels, one.good) for one in verdicts]
    return Estimated(design, verdicts, estimates(levels, is_random=design.is_random))


def queue_by_verdict(session: Session, project_id: int, filters: Filters, period: Period) -> list[OfVerdict]:
    """Counts of the work stream, in one statement, so that they are of one moment. In the order of PREDICTION."""
    labels = _labels(project_id, filters, period)
    is_decided = Instance.status.in_(DECIDED)
    there = (
        select(
            Instance.verdict,
            func.count().label("instances"),
            func.count().filter(is_decided).label("decided"),
        )
        .where(Instance.project_id == project_id, *_matching(filters))
        .group_by(Instance.verdict)
        .subquery()
    )
    query = select(
        there.c.verdict,
        there.c.instances,
        func.coalesce(labels.c.labels, 0),
        func.coalesce(labels.c.good, 0),
        there.c.decided - func.coalesce(labels.c.decided, 0),
    ).outerjoin_from(there, labels, there.c.verdict.is_not_distinct_from(labels.c.verdict))
    found = [OfVerdict(*row) for row in session.execute(query)]
    return sorted(found, key=lambda one: list(PREDICTION).index(one.verdict))


def _matching(filters: Filters) -> list[ColumnElement[bool]]:
    return [
        Instance.status.in_((*OPEN_TO_PEOPLE, *DECIDED)),
        *(getattr(Instance, column) == value for column, value in filters._asdict().items() if value),
    ]


def _labels(project_id: int, filters: Filters, period: Period) -> Subquery:
    """By verdict: instances with a label of the period, good ones among them, and decided ones with any label."""
    said = _said(project_id, period).subquery()
    # One look into the index an instance; a plain join is planned as a walk over every instance there is.
    instance = (
        select(Instance.verdict, Instance.status)
        .where(
            Instance.id == said.c.instance_id,
            Instance.round == said.c.round,
            # What waits has another reader to come, who must not learn from a narrow filter what was said.
            Instance.status != InstanceStatus.WAITING,
            *_matching(filters),
        )
        .limit(1)
        .lateral()
    )
    return (
        select(
            instance.c.verdict,
            func.count().filter(said.c.of_period).label("labels"),
            func.count().filter(said.c.of_period, said.c.good).label("good"),
            func.count().filter(instance.c.status.in_(DECIDED)).label("decided"),
        )
        .join_from(said, instance, true())
        .group_by(instance.c.verdict)
        .subquery()
    )


def _said(project_id: int, period: Period) -> Select[int, int, bool, bool]:
    """Of each instance that was read, by round of reading: whether it was good as the machine made it.

    Good: accepted unchanged, by everybody who read it. Where readers disagree it is not, until an adjudicator decides.
    """
    is_good = (Decision.action == Action.ACCEPT) & (Decision.revision == 0)
    of_adjudicator = func.bool_and(is_good).filter(Decision.is_adjudication)
    return (
        select(
            Decision.instance_id,
            Decision.round,
            func.coalesce(of_adjudicator, func.bool_and(is_good)).label("good"),
            func.bool_or(within(Decision.created_at, period)).label("of_period"),
        )
        .where(
            Decision.project_id == project_id,
            Decision.stream == Stream.WORK,
            Decision.action.in_(READINGS),
            Decision.undone_at.is_(None),
            Decision.bulk_action_id.is_(None),
        )
        .group_by(Decision.instance_id, Decision.round)
    )

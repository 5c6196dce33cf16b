"""The word of people that holds on an instance, beside the verdict that was on screen. Touches the tables, reading only."""

from sqlalchemy import ColumnElement, CompoundSelect, Subquery, select, union
from sqlalchemy.dialects.postgresql import distinct_on

from app.pipeline import READINGS, Action, Stream
from app.storage.tables import Call, Decision, Exemplar, Instance


def decided(project_id: int, *conditions: ColumnElement[bool]) -> Subquery:
    """(id, instance_id, verdict_id, is_good, at) of the word that holds on each instance with a verdict."""
    return (
        select(
            Decision.id,
            Decision.instance_id,
            Decision.verdict_id,
            (Decision.action == Action.ACCEPT).label("is_good"),
            Decision.created_at.label("at"),
        )
        .ext(distinct_on(Decision.instance_id))
        .where(
            Decision.project_id == project_id,
            Decision.stream == Stream.WORK,
            Decision.action.in_(READINGS),
            Decision.undone_at.is_(None),
            Decision.bulk_action_id.is_(None),
            Decision.verdict_id.is_not(None),
            *conditions,
        )
        .order_by(Decision.instance_id, Decision.id.desc())
        .subquery()
    )


def has_served() -> ColumnElement[bool]:
    """A case made of the instance was shown in some call."""
    cases = select(Exemplar.instance_id).where(
        Exemplar.instance_id.is_not(None), Exemplar.id.in_(shown_cases())
    )
    return Instance.id.in_(cases)


def shown_cases() -> CompoundSelect[int | None]:
    """The numbers of the cases that some call showed to a model."""
    return union(
        select(Call.good_exemplar_id).where(Call.good_exemplar_id.is_not(None)),
        select(Call.bad_exemplar_id).where(Call.bad_exemplar_id.is_not(None)),
    )

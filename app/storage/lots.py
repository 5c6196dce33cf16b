"""The rows of a frozen lot, and what other lots share with it; for every stage that says something about one."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from app.storage.tables import Audit, Instance, Lease, LotRow


class LotRowNow(NamedTuple):
    """A row as it was frozen, with what its instance is now."""

    row_id: str
    content_hash: str
    part: str
    instance_id: int
    revision: int  # that was frozen
    status: str


def lot_rows(session: Session, audit_id: int) -> list[LotRowNow]:
    """Of both parts, by number of the instance."""
    statement = (
        select(
            LotRow.row_id,
            LotRow.content_hash,
            LotRow.part,
            LotRow.instance_id,
            LotRow.revision,
            Instance.status,
        )
        .join(Instance, Instance.id == LotRow.instance_id)
        .where(LotRow.audit_id == audit_id)
        .order_by(LotRow.instance_id)
    )
    return [LotRowNow(*row) for row in session.execute(statement)]


def lots_before(session: Session, audit: Audit) -> list[tuple[Audit, int]]:
    """Audits that were frozen before this one and share rows with it, the oldest first, with how many."""
    mine = aliased(LotRow)
    shared = (
        select(LotRow.audit_id, func.count().label("rows"))
        .join(mine, mine.instance_id == LotRow.instance_id)
        .where(mine.audit_id == audit.id, LotRow.audit_id < audit.id)
        .group_by(LotRow.audit_id)
        .subquery()
    )
    statement = select(Audit, shared.c.rows).join(shared, shared.c.audit_id == Audit.id).order_by(Audit.id)
    return [(one, rows) for one, rows in session.execute(statement)]


InstanceId = int | InstrumentedAttribute[int] | InstrumentedAttribute[int | None]


def reads_blind(session: Session, person_id: int, instance_id: int) -> bool:
    """Whether the person has this instance in hand for an audit: what a machine said about it is hidden from them."""
    return session.scalars(select(read_blind_by(person_id, instance_id))).one()


def read_blind_by(person_id: int, instance_id: InstanceId) -> ColumnElement[bool]:
    """The same as a condition, also about the numbers in a column."""
    return exists().where(
        Lease.person_id == person_id, Lease.instance_id == instance_id, Lease.audit_id.is_not(None)
    )

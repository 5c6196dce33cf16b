"""The lots of audits as their readers meet them: draws held, draws to give. Touches the tables, and locks.

The row of a lot is locked in everything that gives it to somebody or takes an answer on it. Leases and answers
are looked at again once it is, since a query's snapshot is older than its lock.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, Text, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from app.errors import NotFound
from app.pipeline import AuditState, Part
from app.review.leases import lease_end
from app.storage.tables import Audit, Decision, Lease, LotRow, Person

_PROJECT, _PERSON, _AUDIT, _INSTANCE = (
    bindparam(name, type_=BigInteger) for name in ("project_id", "person_id", "audit_id", "instance_id")
)


def audit_in(session: Session, project_id: int, audit_id: int) -> Audit:
    """Raises NotFound, also for another project's."""
    found = session.get(Audit, audit_id)
    if found is None or found.project_id != project_id:
        raise NotFound(f"there is no audit {audit_id} in this project")
    return found


def audit_locked(session: Session, audit_id: int) -> Audit:
    """Whoever records or changes a label holds this lock, so that the state always fits the labels.

    It lets others lease draws meanwhile. Raises NotFound.
    """
    query = select(Audit).where(Audit.id == audit_id).with_for_update(key_share=True)
    found = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if found is None:
        raise NotFound(f"there is no audit {audit_id}")
    return found


def audits_of(session: Session, project_id: int) -> Sequence[Audit]:
    """Those that were not abandoned, the oldest first."""
    query = select(Audit).where(Audit.project_id == project_id, Audit.state != AuditState.ABANDONED)
    return session.scalars(query.order_by(Audit.id)).all()


def open_audits(session: Session, project_id: int) -> Sequence[int]:
    """The numbers of those that people are reading, the oldest first."""
    query = select(Audit.id).where(Audit.project_id == project_id, Audit.state == AuditState.OPEN)
    return session.scalars(query.order_by(Audit.id)).all()


def lot_row(session: Session, audit_id: int, instance_id: int, *, lock: bool = False) -> LotRow:
    """Raises NotFound."""
    found = session.get(
        LotRow,
        {"audit_id": audit_id, "instance_id": instance_id},
        with_for_update=lock or None,
    )
    if found is None:
        raise NotFound(f"instance {instance_id} is not in the lot of audit {audit_id}")
    return found


# --- draws in somebody's hands ----------------------------------------------------------------------------


class Draw(NamedTuple):
    """A row of a lot in a reader's hands."""

    audit: Audit
    row: LotRow
    lease: Lease


_HELD = (
    select(Audit, LotRow, Lease)
    .join(Lease, Lease.audit_id == Audit.id)
    .join(LotRow, (LotRow.audit_id == Lease.audit_id) & (LotRow.instance_id == Lease.instance_id))
    .where(
        Audit.project_id == _PROJECT,
        Audit.state != AuditState.ABANDONED,
        Lease.person_id == _PERSON,
        Lease.expires_at > func.now(),
    )
    .order_by(Lease.leased_at, Lease.id)
)


def held(session: Session, project_id: int, person_id: int) -> list[Draw]:
    """What this person holds of the project's audits, the longest held first."""
    found = session.execute(_HELD, {"project_id": project_id, "person_id": person_id})
    return [Draw(audit, row, lease) for audit, row, lease in found]


_ON_ROW = (Lease.audit_id == _AUDIT, Lease.instance_id == _INSTANCE)
_RUN_OUT = delete(Lease).where(*_ON_ROW, Lease.expires_at <= func.now())
_STANDING = select(Lease).where(*_ON_ROW).execution_options(populate_existing=True)


def holder(session: Session, row: LotRow) -> Lease | None:
    """The lease that stands on a locked row. Those that ran out are removed, which waits for a renewal under way."""
    asked = {"audit_id": row.audit_id, "instance_id": row.instance_id}
    session.execute(_RUN_OUT, asked, execution_options={"synchronize_session": False})
    return session.scalars(_STANDING, asked).first()


def lease_shown(session: Session, instance_id: int, person_id: int, token: str) -> Lease | None:
    """The lease of an audit that the person shows: one that ran out is good while its row stands."""
    query = select(Lease).where(
        Lease.instance_id == instance_id,
        Lease.person_id == person_id,
        Lease.token == token,
        Lease.audit_id.is_not(None),
    )
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def renew_held(session: Session, audit_id: int, person_id: int, token: str) -> bool:
    """Whether the lease with this token stands; then it and all that is held ahead of it last anew.

    Two tabs may do so at the same moment: both lock in one order.
    """
    here = (Lease.audit_id == audit_id, Lease.person_id == person_id)
    standing = or_(Lease.expires_at > func.now(), Lease.token == token)
    held = select(Lease.id).where(*here, standing).order_by(Lease.id).with_for_update()
    renewed = update(Lease).where(Lease.id.in_(held)).values(expires_at=lease_end()).returning(Lease.token)
    return token in session.scalars(renewed.execution_options(synchronize_session=False)).all()


def lease_of_another(session: Session, row: LotRow, person_id: int) -> tuple[str, datetime] | None:
    """(who, until when) holds the draw, if another person does."""
    query = (
        select(Person.name, Lease.expires_at)
        .join(Lease, Lease.person_id == Person.id)
        .where(
            Lease.audit_id == row.audit_id,
            Lease.instance_id == row.instance_id,
            Person.id != person_id,
            Lease.expires_at > func.now(),
        )
    )
    found = session.execute(query).first()
    return (found[0], found[1]) if found else None


# --- draws to give ----------------------------------------------------------------------------------------

_first = aliased(Decision)
_ANSWER = (_first.audit_id == LotRow.audit_id, _first.instance_id == LotRow.instance_id)
_ANSWERS = select(func.count()).select_from(_first).where(*_ANSWER).correlate(LotRow).scalar_subquery()
_READ = select(_first.id).where(*_ANSWER).correlate(LotRow).exists()
_READ_BY_ME = select(_first.id).where(*_ANSWER, _first.person_id == _PERSON).correlate(LotRow).exists()
_IN_HAND = (
    select(Lease.id)
    .where(
        Lease.audit_id == LotRow.audit_id,
        Lease.instance_id == LotRow.instance_id,
        Lease.expires_at > func.now(),
    )
    .correlate(LotRow)
    .exists()
)
_FREE = (
    select(LotRow)
    .where(LotRow.audit_id == _AUDIT, ~_IN_HAND)
    .order_by(LotRow.position)
    .limit(1)
    .with_for_update(skip_locked=True, of=LotRow)
)
_NEW = _FREE.where(LotRow.part == bindparam("part", type_=Text), ~_READ)
_WAITS_FOR_ANOTHER = and_(LotRow.twice, _ANSWERS == 1)
_SECOND = _FREE.where(_WAITS_FOR_ANOTHER, ~_READ_BY_ME)


def lock_new(session: Session, audit: Audit, part: Part) -> LotRow | None:
    """The first row of the part that nobody has read or holds, locked."""
    return session.scalars(_NEW, {"audit_id": audit.id, "part": str(part)}).one_or_none()


def lock_second(session: Session, audit: Audit, person_id: int) -> LotRow | None:
    """The first row that another person has read, that wants a second reader and that nobody holds, locked."""
    return session.scalars(_SECOND, {"audit_id": audit.id, "person_id": person_id}).one_or_none()


_ANSWERED = (
    select(Decision)
    .where(Decision.audit_id == _AUDIT, Decision.instance_id == _INSTANCE)
    .order_by(Decision.id)
)


def answers(session: Session, row: LotRow) -> Sequence[Decision]:
    """What was said about a row, the first reading first."""
    asked = {"audit_id": row.audit_id, "instance_id": row.instance_id}
    return session.scalars(_ANSWERED, asked).all()


# --- why there is none ------------------------------------------------------------------------------------


class Waiting(NamedTuple):
    """Counts of rows. What this person holds is in none of them."""

    unread: int
    second: int
    second_mine: int
    free_at: datetime | None


def waiting(session: Session, audit: Audit, person_id: int) -> Waiting:
    """What is left of an audit for others, or for this person later. Asked only when there is nothing to give."""
    asked = {"audit_id": audit.id, "person_id": person_id}
    mine = (
        select(Lease.id)
        .where(
            Lease.audit_id == LotRow.audit_id,
            Lease.instance_id == LotRow.instance_id,
            Lease.person_id == _PERSON,
            Lease.expires_at > func.now(),
        )
        .correlate(LotRow)
        .exists()
    )
    unread = select(func.count()).where(LotRow.audit_id == _AUDIT, ~_READ, ~mine)
    second = select(func.count(), func.count().filter(_READ_BY_ME)).where(
        LotRow.audit_id == _AUDIT, _WAITS_FOR_ANOTHER, ~mine
    )
    free_at = select(func.min(Lease.expires_at)).where(
        Lease.audit_id == _AUDIT, Lease.person_id != _PERSON, Lease.expires_at > func.now()
    )
    waits, mine_too = session.execute(second, asked).one()
    return Waiting(session.scalar(unread, asked) or 0, waits, mine_too, session.scalar(free_at, asked))

"""Labels of an audit that change, and what follows for its state. Touches the tables; the audit's row is locked."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.errors import Conflict, Forbidden, InvalidInput
from app.guarantee.labels import ADJUDICATED, DISAGREEMENT, FOUND_LATER, Labelled, Standing
from app.pipeline import AuditState, Role
from app.review import audit_queries as queries
from app.review.judgement import checked_length
from app.storage.labels import labelled_rows, standing_of
from app.storage.tables import Audit, Decision, LabelChange, Membership, Person

CLOSED = (AuditState.CERTIFIED, AuditState.FAILED)


def keep_disagreement(session: Session, first: Decision, second: Decision) -> None:
    """Where a second reader differs the draw counts as a defect, and waits for an adjudicator."""
    if second.audit_id is None or first.defect == second.defect:
        return
    found_later = select(LabelChange.id).where(
        LabelChange.audit_id == second.audit_id,
        LabelChange.instance_id == second.instance_id,
        LabelChange.why == FOUND_LATER,
    )
    session.add(
        LabelChange(
            audit_id=second.audit_id,
            instance_id=second.instance_id,
            decision_id=second.id,
            person_id=second.person_id,
            before=first.defect or session.scalar(select(found_later.exists())),
            after=True,
            why=DISAGREEMENT,
        )
    )
    session.flush()


def settle(session: Session, audit: Audit, person_id: int) -> Standing:
    """Let the state of a locked audit follow from its labels. `person_id`: who caused what changed."""
    found = standing_of(session, audit)
    if audit.state in (AuditState.ABANDONED, found.state):
        return found
    audit.state = found.state
    audit.closed_at = session.scalar(select(func.now())) if found.state in CLOSED else None
    audit.why_closed = _why_closed(audit, found)
    session.flush()
    log(
        session,
        person_id,
        f"audit {'open again' if found.state is AuditState.OPEN else found.state}",
        f"audit {audit.id}",
        {"draws": found.draws, "defects": found.defects, "certified_at": found.certified_at},
        project_id=audit.project_id,
    )
    return found


def _why_closed(audit: Audit, found: Standing) -> str:
    match found.state:
        case AuditState.CERTIFIED:
            return f"certified at draw {found.certified_at:,} of {audit.rows:,}"
        case AuditState.FAILED:
            allowed = "" if found.tolerance is None else f", and the claim allows {found.tolerance:,}"
            return f"{found.found:,} defects are found{allowed}"
        case _:
            return ""


# --- what changes a label ---------------------------------------------------------------------------------


def adjudicate(
    session: Session, person: Person, audit_id: int, instance_id: int, defect: bool, note: str = ""
) -> LabelChange:
    """An adjudicator's word on a draw whose two readers disagree: it holds.

    Raises:
        NotFound: there is no such audit, or the instance is not in its lot.
        Conflict: the draw does not wait for an adjudicator, or the audit was abandoned.
        Forbidden: the person is one of the readers, and another administrator could decide.
        InvalidInput: the note is too long.
    """
    audit, row = _open_to_changes(session, audit_id, instance_id)
    if row is None or not row.is_disputed:
        raise Conflict(_why_not_disputed(row, audit_id, instance_id))
    if others := _others_who_may(session, audit, person, row):
        raise Forbidden(f"you are one of its readers; it can be decided by {', '.join(others)}")
    return _change(session, audit, row, person, after=defect, why=ADJUDICATED, note=note)


def find_later(session: Session, person: Person, audit_id: int, instance_id: int, note: str) -> LabelChange:
    """A draw that was read as ok turns out to be a defect.

    Raises:
        NotFound: there is no such audit, or the instance is not in its lot.
        Conflict: nobody has read it yet, it counts as a defect already, or the audit was abandoned.
        InvalidInput: there is no note, or a too long one.
    """
    audit, row = _open_to_changes(session, audit_id, instance_id)
    if row is None:
        raise Conflict(f"instance {instance_id} has not been read in audit {audit_id} yet")
    if row.defect:
        raise Conflict(f"instance {instance_id} counts as a defect of audit {audit_id} already")
    if not note.strip():
        raise InvalidInput("Say what the defect is", "note")
    return _change(session, audit, row, person, after=True, why=FOUND_LATER, note=note)


def _open_to_changes(session: Session, audit_id: int, instance_id: int) -> tuple[Audit, Labelled | None]:
    """The audit, locked, and what was said about one row of its lot; None if nobody has read it."""
    audit = queries.audit_locked(session, audit_id)
    queries.lot_row(session, audit_id, instance_id)
    if audit.state == AuditState.ABANDONED:
        raise Conflict(f"audit {audit_id} was abandoned: its labels stand")
    return audit, labelled(session, audit_id, instance_id)


def labelled(session: Session, audit_id: int, instance_id: int) -> Labelled | None:
    return next(iter(labelled_rows(session, audit_id, instance_id)), None)


def _change(
    session: Session, audit: Audit, row: Labelled, person: Person, *, after: bool, why: str, note: str
) -> LabelChange:
    note = note.strip()
    checked_length("note", note)
    change = LabelChange(
        audit_id=audit.id,
        instance_id=row.instance_id,
        person_id=person.id,
        before=row.defect,
        after=after,
        why=why,
        note=note,
    )
    session.add(change)
    session.flush()
    log(
        session,
        person.id,
        f"label {why}",
        f"instance {row.instance_id}",
        {"audit": audit.id, "before": row.defect, "after": after},
        project_id=audit.project_id,
    )
    settle(session, audit, person.id)
    return change


def _why_not_disputed(row: Labelled | None, audit_id: int, instance_id: int) -> str:
    draw = f"instance {instance_id} in audit {audit_id}"
    if row is not None and row.found_later:
        return f"{draw} was found to be a defect, so that there is nothing to decide"
    if row is not None and row.adjudicated is not None:
        return f"{draw} is decided already: it is {'a defect' if row.defect else 'ok'}"
    return f"{draw} does not wait for an adjudicator: no two readers disagree about it"


def _others_who_may(session: Session, audit: Audit, person: Person, row: Labelled) -> Sequence[str]:
    """Administrators of the project who did not read the draw themselves, if this person did."""
    readers = [one.person_id for one in row.readings]
    if person.id not in readers:
        return ()
    query = (
        select(Person.name)
        .join(Membership, Membership.person_id == Person.id)
        .where(
            Person.active,
            Person.id.not_in(readers),
            Membership.role == Role.ADMIN,
            or_(Membership.project_id.is_(None), Membership.project_id == audit.project_id),
        )
        .distinct()
        .order_by(Person.name)
    )
    return session.scalars(query).all()


def read_as_ok(session: Session, instance_id: int) -> Sequence[Audit]:
    """The audits, not abandoned, in which the instance was read and counts as ok."""
    read = select(Decision.audit_id).where(
        Decision.instance_id == instance_id, Decision.audit_id.is_not(None)
    )
    standing = select(Audit).where(Audit.id.in_(read), Audit.state != AuditState.ABANDONED)
    found = session.scalars(standing.order_by(Audit.id)).all()
    return [audit for audit in found if (row := labelled(session, audit.id, instance_id)) and not row.defect]


# --- lists ------------------------------------------------------------------------------------------------


class Dispute(NamedTuple):
    """A draw that waits for an adjudicator."""

    audit: Audit
    row: Labelled


def disputes(session: Session, project_id: int) -> list[Dispute]:
    """Of all audits of the project that were not abandoned, in draw order."""
    return [
        Dispute(audit, row)
        for audit in queries.audits_of(session, project_id)
        for row in labelled_rows(session, audit.id)
        if row.is_disputed
    ]

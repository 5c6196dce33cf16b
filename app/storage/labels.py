"""The labels of an audit: what was said about the rows of its lot. Touches the tables, reading only."""

from collections.abc import Iterable

from sqlalchemy import BigInteger, bindparam, func, select
from sqlalchemy.orm import Session

from app.guarantee.labels import ADJUDICATED, DISAGREEMENT, Claim, Labelled, Reading, Standing, standing
from app.guarantee.sequential import Prior
from app.storage.tables import Audit, Decision, LabelChange, LotRow

_AUDIT = bindparam("audit_id", type_=BigInteger)
_READINGS = (
    select(
        LotRow.row_id,
        LotRow.instance_id,
        LotRow.part,
        LotRow.position,
        LotRow.twice,
        LotRow.revision,
        Decision.id,
        Decision.person_id,
        func.coalesce(Decision.defect, True),
        Decision.action,
        Decision.new_revision,
        Decision.created_at,
    )
    .join(Decision, (Decision.audit_id == LotRow.audit_id) & (Decision.instance_id == LotRow.instance_id))
    .where(LotRow.audit_id == _AUDIT)
    .order_by(LotRow.part, LotRow.position, Decision.id)
)
_CHANGES = (
    select(LabelChange.instance_id, LabelChange.why, LabelChange.after)
    .where(LabelChange.audit_id == _AUDIT, LabelChange.why != DISAGREEMENT)
    .order_by(LabelChange.id)
)


def labelled_rows(session: Session, audit_id: int, instance_id: int | None = None) -> list[Labelled]:
    """The rows of the lot that are read so far: those of the census by position, then the others in draw order.

    `instance_id`: only the row of this instance.
    """
    adjudicated, found_later = _changes(session, audit_id)
    found: dict[int, Labelled] = {}
    readings = _READINGS if instance_id is None else _READINGS.where(LotRow.instance_id == instance_id)
    for row in session.execute(readings, {"audit_id": audit_id}):
        row_id, read_id, part, position, twice, revision, number, person, defect, action, left, at = row
        reading = Reading(number, person, defect, action, left, at)
        if read_id in found:
            first = found[read_id]
            found[read_id] = first._replace(readings=(*first.readings, reading))
            continue
        found[read_id] = Labelled(
            row_id,
            read_id,
            part,
            position,
            twice,
            revision,
            (reading,),
            adjudicated.get(read_id),
            read_id in found_later,
        )
    return list(found.values())


def _changes(session: Session, audit_id: int) -> tuple[dict[int, bool], set[int]]:
    """By instance: what an adjudicator said; and those that were found to be defects later."""
    adjudicated: dict[int, bool] = {}
    found_later: set[int] = set()
    for instance_id, why, after in session.execute(_CHANGES, {"audit_id": audit_id}):
        if why == ADJUDICATED:
            adjudicated[instance_id] = after
        else:
            found_later.add(instance_id)
    return adjudicated, found_later


def claim_of(audit: Audit) -> Claim:
    """What its labels are held against."""
    return Claim(
        audit.rows,
        audit.census_rows,
        audit.max_defect_rate,
        audit.alpha / audit.attempts,
        Prior(audit.prior_a, audit.prior_b),
    )


def standing_of(session: Session, audit: Audit, rows: Iterable[Labelled] | None = None) -> Standing:
    """How the audit stands by its labels; `rows` where they are at hand. Whether it was abandoned, its row says."""
    return standing(claim_of(audit), labelled_rows(session, audit.id) if rows is None else rows)

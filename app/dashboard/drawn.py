"""What the draws of an audit say of the instances that a filter lets through, by verdict. Touches the tables, reading only."""

from collections import Counter

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from app.dashboard.estimates import PREDICTION
from app.pipeline import Part
from app.storage.labels import labelled_rows, standing_of
from app.storage.tables import Audit, Decision, Instance, LotRow


def newest_read_audit(session: Session, project_id: int) -> Audit | None:
    """The newest one of which anything was read."""
    read = select(Decision.audit_id).where(Decision.audit_id == Audit.id).exists()
    query = select(Audit).where(Audit.project_id == project_id, read).order_by(Audit.id.desc()).limit(1)
    return session.scalars(query).one_or_none()


def draws_by_verdict(
    session: Session, audit: Audit, matching: list[ColumnElement[bool]]
) -> list[tuple[str | None, int, int, int]]:
    """(verdict, rows of the random part, draws that count, of these without a defect), in the order of PREDICTION.

    Only draws that count are a random sample: what was read early, of whatever is quick to decide, waits.
    """
    rows = labelled_rows(session, audit.id)
    counted = standing_of(session, audit, rows).draws
    drawn = {
        row.instance_id: row.defect for row in rows if row.part == Part.RANDOM and row.position <= counted
    }
    lot = (
        select(Instance.verdict, func.count())
        .join(LotRow, LotRow.instance_id == Instance.id)
        .where(LotRow.audit_id == audit.id, LotRow.part == Part.RANDOM, *matching)
        .group_by(Instance.verdict)
    )
    verdicts = dict(
        session.execute(select(Instance.id, Instance.verdict).where(Instance.id.in_(drawn), *matching)).all()
    )
    labels = Counter(verdicts.values())
    good = Counter(verdict for instance_id, verdict in verdicts.items() if not drawn[instance_id])
    found = {verdict: instances for verdict, instances in session.execute(lot)}
    return [
        (verdict, found[verdict], labels[verdict], good[verdict])
        for verdict in PREDICTION
        if verdict in found
    ]

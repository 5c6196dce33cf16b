"""How the newest audit of a project stands. Touches the tables, reading only."""

from typing import NamedTuple

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from app.guarantee.labels import Standing
from app.guarantee.outlook import Outlook, outlook
from app.pipeline import AuditState
from app.storage.labels import claim_of, standing_of
from app.storage.tables import Audit


class AuditNow(NamedTuple):
    audit: Audit
    standing: Standing
    outlook: Outlook


def audit_now(session: Session, project_id: int) -> AuditNow | None:
    """The newest that is open, else the newest."""
    open_first = case((Audit.state == AuditState.OPEN, 0), else_=1)
    audit = session.scalars(
        select(Audit).where(Audit.project_id == project_id).order_by(open_first, Audit.id.desc()).limit(1)
    ).one_or_none()
    if audit is None:
        return None
    standing = standing_of(session, audit)
    if audit.state == AuditState.ABANDONED:
        standing = standing._replace(state=AuditState.ABANDONED)
    return AuditNow(audit, standing, outlook(claim_of(audit), standing))

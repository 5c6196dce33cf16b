"""Audits over REST."""

from typing import Annotated

from fastapi import Path, Response
from sqlalchemy.orm import Session

from app.accounts.roles import Caller, admit
from app.audit import queries, service
from app.audit.asking import Wanted
from app.audit.seeing import row_of, seen, shape_of
from app.audit.shapes import AskedAudit, AuditRow, AuditShape, WhyAbandoned
from app.pipeline import Role
from app.storage.tables import Audit, Project
from app.web.dependencies import AdminProject, ApiCaller, DbSession, ReadProject
from app.web.idempotency import api_router
from app.web.pagination import LARGEST_KEY, AskedWindow, Page, cut

router = api_router(tags=["audits"])

AuditId = Annotated[int, Path(ge=1, le=LARGEST_KEY)]


@router.post("/projects/{project}/audits", status_code=201)
def freeze(
    session: DbSession, project: AdminProject, caller: ApiCaller, asked: AskedAudit, response: Response
) -> AuditShape:
    """Freeze a lot and draw the order in which it is read. `Location` is the audit."""
    audit = service.freeze_lot(session, project, Wanted(**asked.model_dump()), caller.person)
    response.headers["Location"] = f"/api/v1/audits/{audit.id}"
    return shape_of(session, project, audit)


@router.get("/projects/{project}/audits")
def audits(session: DbSession, project: ReadProject, asked: AskedWindow) -> Page[AuditRow]:
    """The newest first, without their courses."""
    found, following = cut(
        queries.audits_of(session, project.id, asked.after, asked.limit + 1), asked, lambda audit: audit.id
    )
    return Page(items=[row_of(project, seen(session, audit)) for audit in found], next=following)


@router.get("/audits/{audit_id}")
def audit(session: DbSession, caller: ApiCaller, audit_id: AuditId) -> AuditShape:
    """How it stands by the labels so far."""
    project, found = _found(session, caller, audit_id, Role.VIEWER)
    return shape_of(session, project, found)


@router.post("/audits/{audit_id}/abandon")
def abandon(session: DbSession, caller: ApiCaller, audit_id: AuditId, asked: WhyAbandoned) -> AuditShape:
    """Give it up. It stays on record, and later lots that share rows with it name it."""
    project, found = _found(session, caller, audit_id, Role.ADMIN)
    return shape_of(
        session, project, service.abandon(session, found.id, project.id, asked.why, caller.person)
    )


def _found(session: Session, caller: Caller, audit_id: int, least: Role) -> tuple[Project, Audit]:
    """Raises NotFound also for an audit that the caller may not know."""
    found = queries.audit_named(session, audit_id)
    admit(session, caller, found.project_id, least)
    return session.get_one(Project, found.project_id), found

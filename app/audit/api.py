"""Audits over REST."""

from typing import Annotated, Any

from fastapi import Path, Response
from sqlalchemy.orm import Session

from app.accounts.roles import Caller, admit
from app.audit import queries, service
from app.audit.asking import Wanted
from app.audit.readings import second_readings
from app.audit.shapes import (
    AskedAudit,
    AuditRow,
    AuditShape,
    EarlierShape,
    PlanShape,
    ReadingsShape,
    WhyAbandoned,
)
from app.guarantee.outlook import claimed_test, fixed_plans, outlook
from app.pipeline import AuditState, Role
from app.storage.labels import claim_of
from app.storage.lots import lots_before
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
    return _shape(session, project, audit)


@router.get("/projects/{project}/audits")
def audits(session: DbSession, project: ReadProject, asked: AskedWindow) -> Page[AuditRow]:
    """The newest first, without their courses."""
    found, following = cut(
        queries.audits_of(session, project.id, asked.after, asked.limit + 1), asked, lambda audit: audit.id
    )
    rows = [AuditRow(**_row(project, service.seen(session, audit))) for audit in found]
    return Page(items=rows, next=following)


@router.get("/audits/{audit_id}")
def audit(session: DbSession, caller: ApiCaller, audit_id: AuditId) -> AuditShape:
    """How it stands by the labels so far."""
    project, found = _found(session, caller, audit_id, Role.VIEWER)
    return _shape(session, project, found)


@router.post("/audits/{audit_id}/abandon")
def abandon(session: DbSession, caller: ApiCaller, audit_id: AuditId, asked: WhyAbandoned) -> AuditShape:
    """Give it up. It stays on record, and later lots that share rows with it name it."""
    project, found = _found(session, caller, audit_id, Role.ADMIN)
    return _shape(session, project, service.abandon(session, found.id, project.id, asked.why, caller.person))


def _found(session: Session, caller: Caller, audit_id: int, least: Role) -> tuple[Project, Audit]:
    """Raises NotFound also for an audit that the caller may not know."""
    found = queries.audit_named(session, audit_id)
    admit(session, caller, found.project_id, least)
    return session.get_one(Project, found.project_id), found


def _shape(session: Session, project: Project, audit: Audit) -> AuditShape:
    seen = service.seen(session, audit)
    claim = claim_of(audit)
    ahead = outlook(claim, seen.standing)
    readers = second_readings(seen.rows, audit.alpha)
    return AuditShape(
        **_row(project, seen),
        upper_bounds=seen.standing.upper_bounds.tolist(),
        expected_draws_left=ahead.draws_left,
        reviews_left=ahead.reviews_left,
        fixed_plans=[
            PlanShape(**one._asdict())
            for one in fixed_plans(claimed_test(claim, seen.standing.census_removed))
        ],
        earlier_audits=[
            EarlierShape(id=one.id, state=one.state, attempt=one.attempt, shared_rows=shared)
            for one, shared in lots_before(session, audit)
        ],
        readings=ReadingsShape(disagreements_open=seen.standing.disputed, **readers._asdict()),
    )


def _row(project: Project, seen: service.Seen) -> dict[str, Any]:
    audit, standing = seen.audit, seen.standing
    claim = claim_of(audit)
    return {
        "id": audit.id,
        "project": project.slug,
        "state": standing.state,
        "first": audit.attempt == 1,
        "alpha_used": claim.alpha,
        "prior": claim.prior._asdict(),
        "draws": standing.draws,
        "defects": standing.defects,
        "tolerance": standing.tolerance,
        "certified_at": standing.certified_at if standing.state == AuditState.CERTIFIED else None,
        "upper_bound": outlook(claim, standing).upper_bound,
        "census_read": standing.census_read,
    } | {name: getattr(audit, name) for name in _AS_KEPT}


_AS_KEPT = (
    "why_closed",
    "frozen_at",
    "closed_at",
    "filters",
    "gates",
    "census",
    "rows",
    "census_rows",
    "dropped_rows",
    "max_defect_rate",
    "alpha",
    "attempts",
    "attempt",
    "double_share",
    "lot_sha256",
    "order_sha256",
    "seed",
    "guideline_version",
    "code_version",
)

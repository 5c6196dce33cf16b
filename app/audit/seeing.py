"""An audit as it stands by its labels, for pages, scripts and the command line. Touches the tables, reading only."""

from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from app.audit.readings import second_readings
from app.audit.shapes import AuditRow, AuditShape, EarlierShape, PlanShape, ReadingsShape
from app.guarantee.labels import Labelled, Standing
from app.guarantee.outlook import claimed_test, fixed_plans, forecasts, outlook
from app.pipeline import AuditState
from app.storage.labels import claim_of, labelled_rows, standing_of
from app.storage.lots import lots_before
from app.storage.tables import Audit, Project


class Seen(NamedTuple):
    """An audit with its labels and what follows from them."""

    audit: Audit
    rows: list[Labelled]  # that were read
    standing: Standing


def seen(session: Session, audit: Audit) -> Seen:
    rows = labelled_rows(session, audit.id)
    standing = standing_of(session, audit, rows)
    if audit.state == AuditState.ABANDONED:
        standing = standing._replace(state=AuditState.ABANDONED)
    return Seen(audit, rows, standing)


def row_of(project: Project, one: Seen) -> AuditRow:
    return AuditRow(**_row(project, one))


def shape_of(session: Session, project: Project, audit: Audit) -> AuditShape:
    one = seen(session, audit)
    claim = claim_of(audit)
    ahead = outlook(claim, one.standing)
    readers = second_readings(one.rows, audit.alpha)
    return AuditShape(
        **_row(project, one),
        upper_bounds=one.standing.upper_bounds.tolist(),
        expected_draws_left=ahead.draws_left,
        reviews_left=ahead.reviews_left,
        fixed_plans=[
            PlanShape(**plan._asdict())
            for plan in fixed_plans(claimed_test(claim, one.standing.census_removed))
        ],
        earlier_audits=[
            EarlierShape(id=before.id, state=before.state, attempt=before.attempt, shared_rows=shared)
            for before, shared in lots_before(session, audit)
        ],
        readings=ReadingsShape(disagreements_open=one.standing.disputed, **readers._asdict()),
    )


def expected(audit: Audit) -> dict[str, float]:
    """Draws until it passes, on average, if its lot has no defect, or a quarter of what is tolerated."""
    found = forecasts(claimed_test(claim_of(audit)))
    return {"clean": found[0].draws, "quarter": found[2].draws}


def _row(project: Project, one: Seen) -> dict[str, Any]:
    audit, standing = one.audit, one.standing
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

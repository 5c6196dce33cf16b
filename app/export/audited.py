"""The rows and the certificate of a release from an audited lot. Touches the tables, reading only."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, InvalidInput
from app.export.quoting import ACCEPT, EDIT, UNDRAWN
from app.guarantee.certificate import Change, Facts, Read, Said, certificate
from app.guarantee.labels import Labelled
from app.guarantee.lot import Frozen, content_hash
from app.guarantee.outlook import outlook
from app.guarantee.sequential import Prior
from app.pipeline import AuditState, InstanceStatus
from app.rows.codeocean import Row, unhashed
from app.rows.gates import Candidate
from app.storage.labels import claim_of, labelled_rows, standing_of
from app.storage.lots import LotRowNow, lot_rows, lots_before
from app.storage.rows import Chosen, admitted_rows, candidates_of
from app.storage.tables import Audit, LabelChange, Project

WITHDRAWN = "withdrawn"


class Audited(NamedTuple):
    """An audited lot as it is released."""

    chosen: list[Candidate]  # by number of the instance
    decisions: Mapping[int, str]  # accept, edit or undrawn, by number of the instance
    frozen: Mapping[int, str]  # content hashes of the rows that nobody corrected
    lot: Sequence[Frozen]
    certificate: Mapping[str, Any]

    def checked(self, instance_id: int, row: Row) -> Row:
        """The row, if it is as it was frozen or was corrected; raises Conflict for any other."""
        if content_hash(row) != self.frozen.get(instance_id, content_hash(row)):
            raise Conflict(
                f"row {row['id']} is not as it was frozen: its origin, licence, generator or judge has changed, so"
                " the audit says nothing about it"
            )
        return row


def certified_audit(session: Session, project_id: int, audit_id: int | None) -> Audit:
    """The audit of this number, or the newest that is certified.

    Raises InvalidInput for a number that no audit here has, and Conflict that says what is missing.
    """
    mine = select(Audit).where(Audit.project_id == project_id).order_by(Audit.id.desc()).limit(1)
    wanted = Audit.id == audit_id if audit_id is not None else Audit.state == AuditState.CERTIFIED
    found = session.scalars(mine.where(wanted)).one_or_none()
    if found is None and audit_id is not None:
        raise InvalidInput(f"there is no audit {audit_id} in this project", "audit_id")
    found = found or session.scalars(mine).one_or_none()
    if found is None:
        raise Conflict("there is no audit in this project yet: freeze a lot first")
    if (missing := what_is_missing(session, found)) is not None:
        raise Conflict(f"audit {found.id} is not certified: {missing}")
    return found


def what_is_missing(session: Session, audit: Audit) -> str | None:
    """Before a release may be cut from it; None where it may."""
    standing = standing_of(session, audit)
    ahead = outlook(claim_of(audit), standing)
    if audit.state == AuditState.ABANDONED:
        return f"it was abandoned ({audit.why_closed})"
    if standing.state == AuditState.FAILED:
        return f"{standing.found:,} defects are found, and {ahead.tolerance:,} are tolerated"
    if standing.census_read < audit.census_rows:
        return f"{standing.census_read:,} of the {audit.census_rows:,} suspicious rows of its census are read"
    if standing.state == AuditState.OPEN:
        reviews = "" if ahead.reviews_left is None else f"; about {ahead.reviews_left:,} more reviews"
        return (
            f"after {standing.draws:,} draws up to {ahead.upper_bound:,} defects are not ruled out, and"
            f" {ahead.tolerance:,} are tolerated{reviews}"
        )
    return None


def audited(session: Session, project: Project, audit: Audit) -> Audited:
    """Raises Conflict where its labels do not certify it."""
    rows = lot_rows(session, audit.id)
    read = {one.instance_id: one for one in labelled_rows(session, audit.id)}
    made = certificate(_facts(session, project, audit, rows, read))
    if made["certified_at"] is None:
        raise Conflict(f"audit {audit.id}: {made['claim']}")
    out = {one["id"] for one in made["removed"]}
    released = [row for row in rows if row.row_id not in out]
    corrected = _corrected(read)
    chosen = [Chosen(row.instance_id, corrected.get(row.instance_id, row.revision)) for row in released]
    return Audited(
        chosen=candidates_of(session, chosen),
        decisions={
            row.instance_id: EDIT
            if row.instance_id in corrected
            else ACCEPT
            if row.instance_id in read
            else UNDRAWN
            for row in released
        },
        frozen={row.instance_id: row.content_hash for row in released if row.instance_id not in corrected},
        lot=[_frozen(row) for row in rows],
        certificate=made,
    )


def _facts(
    session: Session,
    project: Project,
    audit: Audit,
    rows: Sequence[LotRowNow],
    read: Mapping[int, Labelled],
) -> Facts:
    names = {row.instance_id: row.row_id for row in rows}
    corrected = [Chosen(*one) for one in sorted(_corrected(read).items())]
    return Facts(
        audit_id=audit.id,
        frozen_at=_iso(audit.frozen_at),
        code_version=audit.code_version,
        guideline_version=audit.guideline_version,
        max_defect_rate=audit.max_defect_rate,
        alpha=audit.alpha,
        prior=Prior(audit.prior_a, audit.prior_b),
        attempts=audit.attempts,
        attempt=audit.attempt,
        earlier_audits=_earlier(session, audit),
        lot=[_frozen(row) for row in rows],
        seed=audit.seed,
        double_share=audit.double_share,
        census=audit.census,
        dropped_rows=audit.dropped_rows,
        read=[
            Read(row.row_id, [Said(one.decision_id, one.defect, one.person_id) for one in row.readings])
            for row in read.values()
        ],
        changes=[
            Change(
                names[one.instance_id],
                _iso(one.at),
                one.before,
                one.after,
                one.why,
                one.decision_id,
                one.note,
            )
            for one in _changes(session, audit.id)
        ],
        corrected={
            names[one.instance_id]: content_hash(unhashed(project.slug, one))
            for one in admitted_rows(session, corrected)
        },
        withdrawn={row.row_id: WITHDRAWN for row in rows if row.status == InstanceStatus.WITHDRAWN},
    )


def _corrected(read: Mapping[int, Labelled]) -> dict[int, int]:
    """By number of the instance: the revision that a release takes in place of the frozen one."""
    return {number: row.corrected_by for number, row in read.items() if row.corrected_by is not None}


def _earlier(session: Session, audit: Audit) -> list[dict[str, Any]]:
    """Each audit before this one that shares rows with it, with its result."""
    found: list[dict[str, Any]] = []
    for one, shared in lots_before(session, audit):
        standing = standing_of(session, one)
        found.append(
            {
                "id": one.id,
                "shared_rows": shared,
                "state": one.state,
                "alpha": one.alpha,
                "max_defect_rate": one.max_defect_rate,
                "draws": standing.draws,
                "defects": standing.defects,
            }
        )
    return found


def _changes(session: Session, audit_id: int) -> Sequence[LabelChange]:
    mine = select(LabelChange).where(LabelChange.audit_id == audit_id).order_by(LabelChange.id)
    return session.scalars(mine).all()


def _frozen(row: LotRowNow) -> Frozen:
    return Frozen(row.row_id, row.content_hash, row.part)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()

"""Freezing a lot, and what becomes of its audit. Who reads it, and what they say, is the review's."""

import secrets
from collections.abc import Mapping
from importlib.metadata import version
from typing import NamedTuple

from sqlalchemy import func
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.audit import queries
from app.audit.asking import Earlier, Place, Wanted, checked, place_among, run_numbers, statuses_of
from app.audit.queries import Drawn, FrozenRow
from app.errors import Conflict, InvalidInput
from app.guarantee.labels import Claim
from app.guarantee.lot import Frozen, census_order, content_hash, lot_hash, order, order_hash, read_twice
from app.guarantee.outlook import Forecast, Plan, claimed_test, fixed_plans, forecasts
from app.guarantee.sequential import prior_for
from app.pipeline import AuditState, Census, Part
from app.rows.codeocean import unhashed
from app.rows.gates import Candidate, Mode, Sorted, report, sort_out
from app.storage.locks import lock_project
from app.storage.rows import admitted_rows, candidates
from app.storage.tables import Audit, Person, Project

NOT_DRAWN = ""  # the seed and the hash of the order, while the rows are written
SEED_BYTES = 32
LONGEST_WHY = 2000  # characters


class Lot(NamedTuple):
    """The rows that the filters and gates leave, by part."""

    random: list[Candidate]
    census: list[Candidate]
    suspicious: int  # rows, whatever the census does with them
    dropped: int
    gates: Sorted

    @property
    def instance_ids(self) -> list[int]:
        return [one.instance_id for one in (*self.random, *self.census)]


def choose_lot(session: Session, project: Project, wanted: Wanted) -> Lot:
    """What would be frozen now. `wanted` is checked."""
    if unknown := queries.unknown_runs(session, project.id, run_numbers(wanted.filters)):
        raise InvalidInput(f"this project has no run {unknown[0]}", "filters")
    found = candidates(session, project.id, statuses_of(wanted.filters), wanted.filters)
    gates = sort_out(found, {gate: Mode(mode) for gate, mode in wanted.gates.items()})
    suspicious = [one for one in gates.admitted if one.is_suspicious]
    if wanted.census == Census.NONE:
        return Lot(gates.admitted, [], len(suspicious), 0, gates)
    unsuspicious = [one for one in gates.admitted if not one.is_suspicious]
    if wanted.census == Census.DROP:
        return Lot(unsuspicious, [], len(suspicious), len(suspicious), gates)
    return Lot(unsuspicious, suspicious, len(suspicious), 0, gates)


class Preview(NamedTuple):
    """What freezing now would give."""

    lot: Lot
    earlier: list[Earlier]
    place: Place
    tolerance: int
    forecasts: list[Forecast]
    fixed_plans: tuple[Plan, ...]


def preview(session: Session, project: Project, wanted: Wanted) -> Preview:
    """Raises InvalidInput naming the field."""
    wanted = checked(wanted)
    lot = choose_lot(session, project, wanted)
    earlier = queries.earlier_lots(session, lot.instance_ids)
    place = place_among(earlier, wanted)
    prior = prior_for(wanted.max_defect_rate)
    alpha = wanted.alpha / place.attempts
    test = claimed_test(Claim(len(lot.random), len(lot.census), wanted.max_defect_rate, alpha, prior))
    return Preview(
        lot, earlier, place, test.tolerance, forecasts(test) if lot.random else [], fixed_plans(test)
    )


def freeze_lot(session: Session, project: Project, wanted: Wanted, person: Person | None) -> Audit:
    """Freeze the rows that an audit is about, log them, and only then draw the seed of their order.

    Raises InvalidInput naming the field, and Conflict where there is nothing to draw from.
    """
    wanted = checked(wanted)
    lock_project(session, project.id)  # one lot at a time, so that each knows of those before it
    lot = choose_lot(session, project, wanted)
    if not lot.random:
        raise Conflict(_why_empty(lot))
    place = place_among(queries.earlier_lots(session, lot.instance_ids), wanted)
    rows = [
        *_frozen(session, project, lot.random, Part.RANDOM),
        *_frozen(session, project, lot.census, Part.CENSUS),
    ]
    prior = prior_for(wanted.max_defect_rate)
    audit = Audit(
        project_id=project.id,
        person_id=person.id if person else None,
        filters=dict(wanted.filters),
        gates=report({gate: Mode(mode) for gate, mode in wanted.gates.items()}, lot.gates),
        census=wanted.census,
        max_defect_rate=wanted.max_defect_rate,
        alpha=wanted.alpha,
        attempt=place.attempt,
        attempts=place.attempts,
        prior_a=prior.a,
        prior_b=prior.b,
        double_share=wanted.double_share,
        guideline_version=queries.guideline_version(session, project.id),
        code_version=version("breakwater"),
        rows=len(lot.random),
        census_rows=len(lot.census),
        dropped_rows=lot.dropped,
        lot_sha256=lot_hash(row.frozen for row in rows),
        seed=NOT_DRAWN,
        order_sha256=NOT_DRAWN,
    )
    session.add(audit)
    session.flush()
    queries.add_rows(session, audit.id, rows)
    _log_lot(session, audit)
    _draw_order(session, audit, rows)
    return audit


def abandon(session: Session, audit_id: int, project_id: int, why: str, person: Person) -> Audit:
    """Give an audit up. It stays on record: a later lot that shares rows with it names it."""
    audit = queries.audit_named(session, audit_id, project_id, lock=True)
    if not 0 < len(why.strip()) <= LONGEST_WHY:
        raise InvalidInput(f"say why, in 1 to {LONGEST_WHY:,} characters", "why")
    if audit.state != AuditState.OPEN:
        raise Conflict(f"audit {audit.id} is {audit.state} already, and only an open one is abandoned")
    audit.state, audit.closed_at, audit.why_closed = AuditState.ABANDONED, func.now(), why.strip()
    session.flush()
    session.refresh(audit)
    _log(session, person.id, "audit abandoned", audit, {"why": audit.why_closed})
    return audit


def _frozen(session: Session, project: Project, chosen: list[Candidate], part: Part) -> list[FrozenRow]:
    found: list[FrozenRow] = []
    for admitted in admitted_rows(session, chosen):
        row = unhashed(project.slug, admitted)
        frozen = Frozen(row["id"], content_hash(row), part)
        found.append(FrozenRow(frozen, admitted.instance_id, admitted.revision))
    return found


def _log_lot(session: Session, audit: Audit) -> None:
    """The rows stand in the log, by their hash, before there is a seed: nobody can choose them for an order."""
    detail = {
        "lot_sha256": audit.lot_sha256,
        "rows": audit.rows,
        "census_rows": audit.census_rows,
        "dropped_rows": audit.dropped_rows,
        "max_defect_rate": audit.max_defect_rate,
        "alpha": audit.alpha,
        "attempt": audit.attempt,
        "attempts": audit.attempts,
        "double_share": audit.double_share,
    }
    _log(session, audit.person_id, "lot frozen", audit, detail)
    session.flush()


def _draw_order(session: Session, audit: Audit, rows: list[FrozenRow]) -> None:
    """Draw the seed, and give every row its place."""
    audit.seed = secrets.token_hex(SEED_BYTES)
    in_order = order((row.frozen.id for row in rows if row.frozen.part == Part.RANDOM), audit.seed)
    audit.order_sha256 = order_hash(in_order)
    drawn = {
        row_id: Drawn(position, read_twice(row_id, audit.seed, audit.double_share))
        for position, row_id in enumerate(in_order, start=1)
    }
    for position, row_id in enumerate(census_order(row.frozen for row in rows), start=1):
        drawn[row_id] = Drawn(position, twice=False)
    queries.place_rows(session, audit.id, {row.instance_id: drawn[row.frozen.id] for row in rows})
    _log(session, None, "seed drawn", audit, {"seed": audit.seed, "order_sha256": audit.order_sha256})
    session.flush()


def _why_empty(lot: Lot) -> str:
    if lot.suspicious:
        return (
            f"there is nothing to draw from: all {lot.suspicious:,} rows that the filters and gates let through are"
            " suspicious; census none draws from them, too"
        )
    removed = sum(lot.gates.removed.values())
    return (
        "nothing would be in this lot: no instance has text, is not thrown out, and is let through by its filters"
        + (f"; its gates keep out {removed:,}" if removed else "")
    )


def _log(
    session: Session, actor: int | None, action: str, audit: Audit, detail: Mapping[str, object]
) -> None:
    log(session, actor, action, f"audit {audit.id}", detail, project_id=audit.project_id)

"""Audits, the rows of their lots, and what other lots share with them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, BigInteger, Boolean, Text, func, insert, literal, select, update
from sqlalchemy.orm import Session

from app.audit.asking import Earlier
from app.errors import NotFound
from app.guarantee.lot import Frozen
from app.storage.keyset import newest_first
from app.storage.locks import lock_project
from app.storage.tables import Audit, Guideline, LabelChange, LotRow, Person, Release, Run

_UNSEEN: dict[str, Any] = {"synchronize_session": False}
_COLUMNS = {
    "instance_id": BigInteger,
    "row_id": Text,
    "revision": BigInteger,
    "content_hash": Text,
    "part": Text,
    "position": BigInteger,
}


class FrozenRow(NamedTuple):
    """A row of a lot with the text it stands for."""

    frozen: Frozen
    instance_id: int
    revision: int


class Drawn(NamedTuple):
    """Where a row stands in the order of its part."""

    position: int  # from 1
    twice: bool


# --- audits -----------------------------------------------------------------------------------------------


def audits_of(session: Session, project_id: int, before: int | None, limit: int) -> list[Audit]:
    """The newest first."""
    mine = select(Audit).where(Audit.project_id == project_id)
    return list(session.scalars(newest_first(mine, Audit.id, before, limit)))


def audit_named(
    session: Session, audit_id: int, project_id: int | None = None, *, lock: bool = False
) -> Audit:
    """Raises NotFound, also for one of another project where one is given. With `lock`, as it stands now."""
    wanted = select(Audit).where(Audit.id == audit_id)
    if project_id is not None:
        wanted = wanted.where(Audit.project_id == project_id)
    if lock:
        wanted = wanted.with_for_update().execution_options(populate_existing=True)
    found = session.scalars(wanted).one_or_none()
    if found is None:
        raise NotFound(f"there is no audit {audit_id} here")
    return found


def newest_audit(session: Session, project_id: int, *, lock: bool = False) -> int:
    """Its number, 0 where there is none; with `lock` no other is frozen before this transaction ends."""
    if lock:
        lock_project(session, project_id)
    return session.scalar(select(func.max(Audit.id)).where(Audit.project_id == project_id)) or 0


def name_of(session: Session, person_id: int | None) -> str | None:
    return session.scalar(select(Person.name).where(Person.id == person_id)) if person_id else None


def releases_from(session: Session, audit_id: int) -> list[Release]:
    """Releases of this lot, the oldest first."""
    return list(session.scalars(select(Release).where(Release.audit_id == audit_id).order_by(Release.id)))


def label_changes(session: Session, audit_id: int) -> list[tuple[LabelChange, str]]:
    """Labels that became others, with who did it, as they happened."""
    statement = (
        select(LabelChange, Person.name)
        .join(Person, Person.id == LabelChange.person_id)
        .where(LabelChange.audit_id == audit_id)
        .order_by(LabelChange.id)
    )
    return [(change, name) for change, name in session.execute(statement)]


def guideline_version(session: Session, project_id: int) -> int | None:
    """The version in force."""
    return session.scalar(select(func.max(Guideline.version)).where(Guideline.project_id == project_id))


def unknown_runs(session: Session, project_id: int, run_ids: Sequence[int]) -> list[int]:
    """Those of the numbers that no run of the project has."""
    there = session.scalars(select(Run.id).where(Run.project_id == project_id, Run.id.in_(run_ids)))
    return sorted(set(run_ids) - set(there))


# --- lots -------------------------------------------------------------------------------------------------


def add_rows(session: Session, audit_id: int, rows: Sequence[FrozenRow]) -> None:
    """Write the rows of a lot that has no order yet: until `place_rows` their positions lie below 0."""
    columns = (
        [row.instance_id for row in rows],
        [row.frozen.id for row in rows],
        [row.revision for row in rows],
        [row.frozen.hash for row in rows],
        [row.frozen.part for row in rows],
        [-place for place, _ in enumerate(rows, start=1)],
    )
    arrays = [literal(column, ARRAY(kind)) for column, kind in zip(columns, _COLUMNS.values(), strict=True)]
    new = func.unnest(*arrays).table_valued(*_COLUMNS).render_derived()
    session.execute(
        insert(LotRow).from_select(
            ["audit_id", "twice", *_COLUMNS], select(literal(audit_id), literal(False), *new.c)
        )
    )


def place_rows(session: Session, audit_id: int, drawn: dict[int, Drawn]) -> None:
    """Give the rows of a lot their positions, by number of the instance."""
    new = (
        func.unnest(
            literal(list(drawn), ARRAY(BigInteger)),
            literal([one.position for one in drawn.values()], ARRAY(BigInteger)),
            literal([one.twice for one in drawn.values()], ARRAY(Boolean)),
        )
        .table_valued("instance_id", "position", "twice")
        .render_derived()
    )
    session.execute(
        update(LotRow)
        .where(LotRow.audit_id == audit_id, LotRow.instance_id == new.c.instance_id)
        .values(position=new.c.position, twice=new.c.twice)
        .execution_options(**_UNSEEN)
    )


def earlier_lots(session: Session, instance_ids: Sequence[int]) -> list[Earlier]:
    """Audits whose lots hold any of the instances, the oldest first."""
    shared = (
        select(LotRow.audit_id, func.count().label("rows"))
        .where(LotRow.instance_id == func.any(instance_ids))
        .group_by(LotRow.audit_id)
        .subquery()
    )
    statement = (
        select(Audit.id, Audit.state, Audit.attempt, Audit.attempts, Audit.alpha, shared.c.rows)
        .join(shared, shared.c.audit_id == Audit.id)
        .order_by(Audit.id)
    )
    return [Earlier(*row) for row in session.execute(statement)]

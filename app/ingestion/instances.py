"""What an import reads and writes of instances. Touches their tables."""

from collections.abc import Collection, Sequence

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Text, cast, func, insert, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.ingestion.finished import Finished
from app.pipeline import InstanceStatus
from app.prompting.exemplars import text_hash
from app.storage.database import compact_json
from app.storage.tables import ImportedRecord, Instance, Revision, Run

_TEXTS = ("instruction", "information", "solution")
_COLUMNS = ("task", "language", "target_language", "task_name", *_TEXTS, "generator")


def lock_imports(session: Session, project_id: int) -> None:
    """One import of a project writes at a time, so that two cannot add the same text."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("import"), project_id)))


def known_texts(session: Session, project_id: int, hashes: Collection[str]) -> dict[str, int]:
    """The oldest instance of the project with each of these texts."""
    statement = (
        select(Instance.text_hash, func.min(Instance.id))
        .where(Instance.project_id == project_id, Instance.text_hash == func.any(list(hashes)))
        .group_by(Instance.text_hash)
    )
    return {str(found): instance_id for found, instance_id in session.execute(statement)}


def texts_before_edits(session: Session, project_id: int) -> dict[str, int]:
    """What people have edited, by the text it had: it is in the project already, although no row says so now."""
    statement = (
        select(Instance.id, Instance.task, *(getattr(Revision, name) for name in _TEXTS))
        .join(Revision, Revision.instance_id == Instance.id)
        .where(Instance.project_id == project_id, Instance.revision > 0, Revision.number == 0)
    )
    return {text_hash(*texts): instance_id for instance_id, *texts in session.execute(statement)}


def add_imported(session: Session, run: Run, rows: Sequence[tuple[str, Finished]]) -> Sequence[int]:
    """Insert instances with their first revision and what they came with, by their text hash.

    Returns their ids in the order of `rows`. One statement for each of the three tables.
    """
    if not rows:
        return []
    given = [one.instruction for _, one in rows]
    ids = _insert_instances(session, run, rows)
    revisions = _columns(
        ("instance_id", ids), *((name, [getattr(one, name) for one in given]) for name in _TEXTS)
    )
    session.execute(
        insert(Revision).from_select(
            ["instance_id", *_TEXTS, "number", "edit_distance"],
            select(*revisions, literal(0), literal(0)),
        )
    )
    *records, kept = _columns(
        ("instance_id", ids),
        ("line", [one.line for _, one in rows]),
        ("external_id", [one.external_id for one in given]),
        ("license", [one.license for one in given]),
        ("kept", [compact_json(one.kept) for one in given]),
    )
    names = ["instance_id", "line", "external_id", "license", "kept"]
    session.execute(insert(ImportedRecord).from_select(names, select(*records, cast(kept, JSONB))))
    return ids


def _insert_instances(session: Session, run: Run, rows: Sequence[tuple[str, Finished]]) -> Sequence[int]:
    hashes = [found for found, _ in rows]
    columns = _columns(
        *((name, [getattr(one.instruction, name) for _, one in rows]) for name in _COLUMNS),
        ("text_hash", hashes),
    )
    shared = {"project_id": run.project_id, "run_id": run.id, "status": str(InstanceStatus.WAITING)}
    chosen = select(*columns, *(literal(value) for value in shared.values()))
    statement = insert(Instance).from_select([*_COLUMNS, "text_hash", *shared], chosen)
    added = session.execute(statement.returning(Instance.text_hash, Instance.id))
    by_hash = {found: instance_id for found, instance_id in added}
    return [by_hash[found] for found in hashes]


def _columns(*named: tuple[str, Sequence[object]]) -> list[ColumnElement[object]]:
    """Columns of a table made of lists of equal length, by their names; numbers or texts."""
    arrays = [
        literal(list(values), ARRAY(BigInteger if isinstance(values[0], int) else Text))
        for _, values in named
    ]
    table = func.unnest(*arrays).table_valued(*(name for name, _ in named)).render_derived()
    return list(table.c)

"""What the checks read of instances and their projects, and where their results are kept."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from app.evidence.checks import Found
from app.storage.tables import Evidence, Instance, Snippet


def licenses_of(session: Session, instances: Collection[Instance]) -> dict[int, str | None]:
    """The licences of the snippets that instances were made from, by snippet."""
    snippet_ids = {one.snippet_id for one in instances}
    rows = session.execute(select(Snippet.id, Snippet.license).where(Snippet.id.in_(snippet_ids)))
    return {snippet_id: license for snippet_id, license in rows}


def instances_with_same_text(session: Session, instances: Collection[Instance]) -> dict[int, int]:
    """The oldest other instance of the project with the same text, by instance; only where there is one."""
    other = aliased(Instance)
    statement = (
        select(Instance.id, func.min(other.id))
        .join(
            other,
            (other.project_id == Instance.project_id)
            & (other.text_hash == Instance.text_hash)
            & (other.id != Instance.id),
        )
        .where(Instance.id.in_([one.id for one in instances]))
        .group_by(Instance.id)
    )
    return {instance_id: other_id for instance_id, other_id in session.execute(statement)}


def keep_evidence(session: Session, found: Mapping[Instance, Sequence[Found]]) -> None:
    """One row per kind for each instance's present revision; a repeated check replaces its row."""
    rows = [
        {"instance_id": instance.id, "revision": instance.revision, **one._asdict()}
        for instance, results in found.items()
        for one in results
    ]
    statement = insert(Evidence)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Evidence.instance_id, Evidence.revision, Evidence.kind],
            set_={"result": statement.excluded.result, "detail": statement.excluded.detail},
        ),
        rows,
    )

"""What the checks read of an instance and its project, and where their results are kept."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.evidence.checks import Found
from app.storage.tables import Evidence, Instance, Snippet


def license_of(session: Session, instance: Instance) -> str | None:
    """The licence of the snippet that the instance was made from."""
    return session.scalar(select(Snippet.license).where(Snippet.id == instance.snippet_id))


def instance_with_same_text(session: Session, instance: Instance) -> int | None:
    """The oldest other instance of the project with the same text."""
    if instance.text_hash is None:
        return None
    return session.scalar(
        select(Instance.id)
        .where(
            Instance.project_id == instance.project_id,
            Instance.text_hash == instance.text_hash,
            Instance.id != instance.id,
        )
        .order_by(Instance.id)
        .limit(1)
    )


def keep_evidence(session: Session, instance: Instance, found: Sequence[Found]) -> None:
    """One row per kind for the instance's present revision; a repeated check replaces its row."""
    rows = [{"instance_id": instance.id, "revision": instance.revision, **one._asdict()} for one in found]
    statement = insert(Evidence).values(rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Evidence.instance_id, Evidence.revision, Evidence.kind],
            set_={"result": statement.excluded.result, "detail": statement.excluded.detail},
        )
    )

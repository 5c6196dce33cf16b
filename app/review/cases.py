"""Putting judged cases into the example bank and taking them out. Touches the exemplar table."""

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.prompting.exemplars import Case, exemplar_of, text_hash
from app.review.revisions import text_of
from app.storage.tables import Exemplar, Instance, RunExemplar


def frozen_by_a_run() -> ColumnElement[bool]:
    return exists().where(RunExemplar.exemplar_id == Exemplar.id)


_ADD = insert(Exemplar)
_ADD_OR_REPLACE = _ADD.on_conflict_do_update(
    index_elements=[Exemplar.project_id, Exemplar.content_hash],
    set_={name: getattr(_ADD.excluded, name) for name in ("is_good", "analysis", "origin", "instance_id")},
    where=~frozen_by_a_run(),
)


def keep_case(session: Session, instance: Instance, case: Case | None) -> None:
    """Add the case, or put this judgement in the place of an earlier one of the same text.

    A case that a run has frozen stays as it was shown: prompts can be made again from the ids they kept.
    """
    if case is None:
        return
    columns = exemplar_of(instance.task, instance.language, case) | {
        "project_id": instance.project_id,
        "instance_id": instance.id,
        "origin": "person",
    }
    session.execute(_ADD_OR_REPLACE, columns)


def forget_case(session: Session, instance: Instance) -> bool:
    """Take the case of a decision on the present text out of the bank; False where a run has frozen it."""
    same = (
        Exemplar.project_id == instance.project_id,
        Exemplar.content_hash == text_hash(instance.task, *text_of(instance)),
        Exemplar.instance_id == instance.id,
        Exemplar.origin == "person",
    )
    session.execute(delete(Exemplar).where(*same, ~frozen_by_a_run()))
    return session.scalar(select(Exemplar.id).where(*same)) is None

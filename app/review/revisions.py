"""The texts of an instance: every one that somebody left is kept, one of them is current. Touches their tables."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.code.difference import edit_distance
from app.prompting.exemplars import text_hash
from app.review.judgement import Text
from app.storage.tables import Instance, Revision


def text_of(instance: Instance) -> Text:
    return Text(instance.instruction, instance.information, instance.solution)


def text_of_revision(session: Session, instance_id: int, number: int) -> Text:
    query = select(Revision.instruction, Revision.information, Revision.solution).where(
        Revision.instance_id == instance_id, Revision.number == number
    )
    return Text(*session.execute(query).one())


def text_at(session: Session, instance: Instance, number: int) -> Text:
    """The text under this number, whether it is the current one or not."""
    return (
        text_of(instance) if number == instance.revision else text_of_revision(session, instance.id, number)
    )


def keep_revision(
    session: Session, instance: Instance, person_id: int, after: Text, before: Text | None = None
) -> int:
    """Keep `after` under a new number; the model's own text is number 0. The current one stays what it is.

    `before`: the text that the person began with, if it was not the current one.
    """
    present = text_of(instance)
    newest = session.scalar(select(func.max(Revision.number)).where(Revision.instance_id == instance.id))
    if newest is None:
        session.add(Revision(instance_id=instance.id, number=0, **present._asdict()))
        newest = 0
    number = newest + 1
    distance = sum(edit_distance(old, new) for old, new in zip(before or present, after, strict=True))
    session.add(
        Revision(
            instance_id=instance.id,
            number=number,
            person_id=person_id,
            edit_distance=distance,
            **after._asdict(),
        )
    )
    return number


def set_text(instance: Instance, text: Text, revision: int) -> None:
    """Make a text that is kept the current one."""
    instance.instruction, instance.information, instance.solution = text
    instance.revision = revision
    instance.text_hash = text_hash(instance.task, *text)

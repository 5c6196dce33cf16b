"""What a reader has typed and not decided yet. Touches the database through the session it is given.

A draft is its person's own and needs no lease: it outlives the lease, the tab and the laptop's lid.
"""

from sqlalchemy import delete, func
from sqlalchemy.orm import Session

from app.errors import Conflict
from app.pipeline import InstanceStatus
from app.review.judgement import Text, checked_length
from app.review.leases import why_not
from app.storage.tables import Draft, Instance


def draft_of(session: Session, person_id: int, instance_id: int) -> Draft | None:
    return session.get(Draft, {"person_id": person_id, "instance_id": instance_id}, populate_existing=True)


def keep_draft(
    session: Session, person_id: int, instance: Instance, text: Text, note: str, version: int
) -> Draft:
    """Keep `text` in place of what was kept before. `version`: of the draft that the sender has seen, 0 for none.

    Raises:
        Conflict: another tab has saved since, or there is nothing to decide any more.
        InvalidInput: names the field.
    """
    for field, value in (*text._asdict().items(), ("note", note)):
        checked_length(field, value)
    if instance.status != InstanceStatus.WAITING:
        raise Conflict(why_not(session, instance, person_id))
    key = {"person_id": person_id, "instance_id": instance.id}
    draft = session.get(Draft, key, with_for_update=True, populate_existing=True)
    if draft is None:
        draft = Draft(**key, version=0)
        session.add(draft)
    elif draft.version != version:
        raise Conflict(
            f"another tab saved this draft at {draft.saved_at:%H:%M} UTC: reload to see that text, or copy this one"
        )
    draft.version += 1
    draft.revision = instance.revision
    draft.instruction, draft.information, draft.solution = text
    draft.note = note
    draft.saved_at = func.clock_timestamp()
    session.flush()
    session.refresh(draft)
    return draft


def drop_draft(session: Session, person_id: int, instance_id: int) -> None:
    session.execute(delete(Draft).where(Draft.person_id == person_id, Draft.instance_id == instance_id))

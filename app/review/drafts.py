"""What a reader has typed and not decided yet. Touches the draft table, and locks the instance while it saves.

A draft is its person's own and needs no lease: it outlives the lease, the tab and the laptop's lid.
"""

from typing import NamedTuple

from sqlalchemy import delete, func
from sqlalchemy.orm import Session

from app.errors import Conflict
from app.pipeline import InstanceStatus
from app.review.judgement import Text, checked_length
from app.review.leases import locked, why_not
from app.storage.tables import Draft


class Typed(NamedTuple):
    """The editor as it was sent. `version`: of the draft that it has seen, 0 for none; `revision`: what it began with."""

    text: Text
    note: str
    version: int
    revision: int


class SavedElsewhere(Conflict):
    """Another tab has saved since; `draft` is what it saved, and stays."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(f"another tab saved this draft at {draft.saved_at:%H:%M} UTC")
        self.draft = draft


def draft_of(session: Session, person_id: int, instance_id: int) -> Draft | None:
    return session.get(Draft, {"person_id": person_id, "instance_id": instance_id}, populate_existing=True)


def keep_draft(session: Session, person_id: int, instance_id: int, typed: Typed) -> Draft:
    """Keep what is typed in place of what was kept before.

    Raises:
        SavedElsewhere: the draft has a version that the sender has not seen.
        Conflict: there is nothing to decide any more; says who decided.
        InvalidInput: names the field.
    """
    for field, value in (*typed.text._asdict().items(), ("note", typed.note)):
        checked_length(field, value)
    # Without the lock a decision could come between, and its draft be kept after all.
    instance = locked(session, instance_id)
    if instance.status != InstanceStatus.WAITING:
        raise Conflict(why_not(session, instance, person_id))
    draft = draft_of(session, person_id, instance_id)
    if draft is None:
        draft = Draft(person_id=person_id, instance_id=instance_id, version=0)
        session.add(draft)
    elif draft.version != typed.version:
        raise SavedElsewhere(draft)
    draft.version += 1
    draft.revision = min(typed.revision, instance.revision)
    draft.instruction, draft.information, draft.solution = typed.text
    draft.note = typed.note
    draft.saved_at = func.clock_timestamp()
    session.flush()
    session.refresh(draft)
    return draft


def drop_draft(session: Session, person_id: int, instance_id: int) -> None:
    session.execute(delete(Draft).where(Draft.person_id == person_id, Draft.instance_id == instance_id))

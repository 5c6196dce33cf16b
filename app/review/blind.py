"""What a reader of an audit must not know before they answer. Touches the tables, reading only.

Whoever has a draw in hand sees the frozen text of its instance and nothing of what a machine or a person said
about it, wherever they look. What others answered in an audit is hidden from readers as long as it is open.
"""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import BigInteger, bindparam, func, or_, select
from sqlalchemy.orm import Session

from app.pipeline import AuditState, InstanceStatus, Stage
from app.review.judgement import Text
from app.review.queries import Reading
from app.review.shapes import DecisionShape, InstanceRow, InstanceShape, RevisionShape
from app.storage.tables import Audit, Lease, LotRow

_IN_HAND = (
    select(LotRow)
    .join(Lease, (Lease.audit_id == LotRow.audit_id) & (Lease.instance_id == LotRow.instance_id))
    .join(Audit, Audit.id == LotRow.audit_id)
    .where(
        Lease.person_id == bindparam("person_id", type_=BigInteger),
        # In an open audit a lease that ran out is still good while nobody else has the draw.
        or_(Lease.expires_at > func.now(), Audit.state == AuditState.OPEN),
    )
    .order_by(LotRow.audit_id)
)


def draws_in_hand(session: Session, person_id: int) -> Sequence[LotRow]:
    """What this person is to read blind, in any project: a few rows at most."""
    return session.scalars(_IN_HAND, {"person_id": person_id}).all()


def ids_in_hand(session: Session, person_id: int) -> list[int]:
    return [row.instance_id for row in draws_in_hand(session, person_id)]


def draw_in_hand(session: Session, person_id: int, instance_id: int) -> LotRow | None:
    return next((row for row in draws_in_hand(session, person_id) if row.instance_id == instance_id), None)


def blind_detail(detail: InstanceShape, revision: int, text: Text, reader: str) -> InstanceShape:
    """The instance as its draw is read: the frozen text, no evidence, no verdict, nothing that others said.

    Whatever its status is, a reader is told that it waits: for them it does.
    """
    frozen = RevisionShape(
        number=revision, person=None, edit_distance=0, created_at=detail.created_at, **text._asdict()
    )
    return detail.model_copy(
        update={
            **text._asdict(),
            "status": InstanceStatus.WAITING,
            "revision": revision,
            "evidence": [],
            "verdict": None,
            "sent_back": None,
            "calls": [call for call in detail.calls if call.stage == Stage.GENERATE],
            "decisions": [one for one in detail.decisions if one.person == reader],
            "hidden_decisions": 0,
            "revisions": [frozen],
            "similar": [],
            "warnings": [],
            "imported": None,
        }
    )


def blind_reading(reading: Reading, text: Text) -> Reading:
    """The card of a draw."""
    return reading._replace(text=text, model_text=None, verdict=None, evidence=[], sent_back=None)


def blind_rows(rows: Sequence[InstanceRow], blind: Sequence[int]) -> list[InstanceRow]:
    """Lines of a list without what their readers must not know."""
    hidden = {"verdict": None, "contradictory": False, "status": InstanceStatus.WAITING}
    return [row.model_copy(update=hidden) if row.id in blind else row for row in rows]


def hidden_answers(
    session: Session, instance_id: int, decisions: Sequence[DecisionShape], reader: str
) -> set[int]:
    """The numbers of the decisions that others made in an audit which is still open, or waits for a second reader."""
    answers = Counter(one.audit_id for one in decisions if one.audit_id is not None)
    if not answers:
        return set()
    lots = select(LotRow.audit_id, LotRow.twice, Audit.state).join(Audit, Audit.id == LotRow.audit_id)
    hidden = {
        audit_id
        for audit_id, twice, state in session.execute(lots.where(LotRow.instance_id == instance_id))
        if state == AuditState.OPEN or (twice and answers[audit_id] == 1 and state != AuditState.ABANDONED)
    }
    return {one.id for one in decisions if one.audit_id in hidden and one.person != reader}

"""What a reader sees of one instance. Touches the tables, reading only. The queue: `work_queue`; lists: `filters`."""

from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    bindparam,
    func,
    select,
)
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.review.decision_queries import revision_left_by
from app.review.judgement import Text
from app.review.revisions import text_of, text_of_revision
from app.review.shapes import (
    EvidenceShape,
    RuleShape,
    VerdictShape,
)
from app.storage.tables import (
    Decision,
    Evidence,
    Instance,
    RuleAnswer,
    Snippet,
    VerdictRow,
)

_INSTANCE = bindparam("instance_id", type_=BigInteger)


def instance(session: Session, instance_id: int) -> Instance:
    """Raises NotFound."""
    found = session.get(Instance, instance_id)
    if found is None:
        raise NotFound(f"there is no instance {instance_id}")
    return found


def instance_in(session: Session, project_id: int, instance_id: int) -> Instance:
    """Raises NotFound, also for an instance of another project."""
    found = instance(session, instance_id)
    if found.project_id != project_id:
        raise NotFound(f"there is no instance {instance_id} in this project")
    return found


_EVIDENCE = (
    select(Evidence.kind, Evidence.revision, Evidence.result, Evidence.detail, Evidence.created_at)
    .where(Evidence.instance_id == _INSTANCE)
    .order_by(Evidence.revision, Evidence.kind)
)


def evidence(session: Session, instance_id: int) -> list[EvidenceShape]:
    """What was checked mechanically, by revision and kind."""
    found = session.execute(_EVIDENCE, {"instance_id": instance_id})
    return [EvidenceShape.model_validate(row) for row in found]


_NEWEST_VERDICT = (
    select(VerdictRow, RuleAnswer)
    .outerjoin(RuleAnswer, RuleAnswer.verdict_id == VerdictRow.id)
    .where(
        VerdictRow.id
        == select(func.max(VerdictRow.id)).where(VerdictRow.instance_id == _INSTANCE).scalar_subquery()
    )
    .order_by(RuleAnswer.id)
)


def newest_verdict(session: Session, instance_id: int) -> VerdictShape | None:
    """The newest opinion with its rules: failed ones first, then passed, then unchecked."""
    found = session.execute(_NEWEST_VERDICT, {"instance_id": instance_id}).all()
    if not found:
        return None
    order = {"no": 0, "yes": 1}
    answers = (RuleShape.model_validate(answer) for _, answer in found if answer)  # invalid ones have none
    rules = sorted(answers, key=lambda rule: order.get(rule.answer, 2))
    return VerdictShape.model_validate({**columns_of(found[0][0]), "rules": rules})


class Reading(NamedTuple):
    """What a reader sees of an instance. `model_text` is the machine's own where a person has changed it since."""

    instance: Instance
    text: Text
    snippet: Snippet | None
    evidence: list[EvidenceShape]
    verdict: VerdictShape | None
    model_text: Text | None


def reading(session: Session, row: Instance, decision: Decision | None = None) -> Reading:
    """The instance as it is; of one's own decision: as one left it."""
    number = row.revision if decision is None else revision_left_by(decision)
    return Reading(
        row,
        text_of(row) if number == row.revision else text_of_revision(session, row.id, number),
        session.get(Snippet, row.snippet_id) if row.snippet_id else None,
        evidence(session, row.id),
        newest_verdict(session, row.id),
        text_of_revision(session, row.id, 0) if number else None,
    )


def columns_of(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}

"""What a rule finds in one instance, without asking a model. Touches the tables, reading only."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.discrimination import queries
from app.discrimination.mechanical import machine_answers
from app.discrimination.offline import WHY_NOT
from app.discrimination.opinion import NOT_CHECKED, Answer, Said
from app.discrimination.rubric import CheckedBy, Rule
from app.errors import NotFound
from app.pipeline import HAVE_TEXT
from app.storage.lots import reads_blind
from app.storage.tables import Instance, RuleAnswer, VerdictRow


class Trial(NamedTuple):
    """`by_machine` is None for a rule that only a model answers; `stored` is what the newest verdict has on it."""

    instance: Instance
    holds: bool  # whether the rule is asked about this instance at all
    by_machine: Said | None
    by_model: Said | None
    stored: RuleAnswer | None


def try_rule(session: Session, project_id: int, rule: Rule, instance_id: int, person_id: int) -> Trial:
    """Raises NotFound, also for an instance that the person reads blind."""
    instance = session.get(Instance, instance_id)
    if instance is None or instance.project_id != project_id or instance.status not in HAVE_TEXT:
        raise NotFound(f"there is no instance {instance_id} with a text in this project")
    if reads_blind(session, person_id, instance_id):
        raise NotFound(f"instance {instance_id} is in your hands for an audit: try another one")
    judged = queries.judged(instance)
    found = queries.evidence_about(session, [instance_id]).get(instance_id, {})
    by_machine = machine_answers(judged, found).get(rule.checked_as, NOT_CHECKED)
    return Trial(
        instance,
        judged.task in rule.tasks and rule.holds_for(judged.language, judged.target_language),
        None if rule.checked_by is CheckedBy.MODEL else by_machine,
        None if rule.checked_by is CheckedBy.MACHINE else Said(Answer.NOT_CHECKED, WHY_NOT),
        _stored(session, instance_id, rule.rule),
    )


def _stored(session: Session, instance_id: int, rule: str) -> RuleAnswer | None:
    query = (
        select(RuleAnswer)
        .join(VerdictRow, VerdictRow.id == RuleAnswer.verdict_id)
        .where(VerdictRow.instance_id == instance_id, RuleAnswer.rule == rule)
        .order_by(VerdictRow.id.desc())
        .limit(1)
    )
    return session.scalars(query).first()


def newest_instance(session: Session, project_id: int, rule: Rule) -> int | None:
    """One that the rule is asked about, to begin with."""
    query = (
        select(Instance.id)
        .where(
            Instance.project_id == project_id,
            Instance.status.in_(HAVE_TEXT),
            Instance.task.in_(rule.tasks),
            *([Instance.language == rule.language] if rule.language else []),
        )
        .order_by(Instance.id.desc())
        .limit(1)
    )
    return session.scalars(query).first()

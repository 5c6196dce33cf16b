"""Writing down what a person says, and what it means for the instance. Touches the tables; the row is locked before."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.pipeline import STATUS_AFTER, Action, InstanceStatus, Stream
from app.prompting.exemplars import Case
from app.review import decision_queries, queries
from app.review.bank import case_of
from app.review.cases import keep_case
from app.review.drafts import drop_draft
from app.review.judgement import (
    PAST,
    Judgement,
    Text,
    checked_note,
    checked_reason,
    checked_rules,
    checked_text,
)
from app.review.overlap import Policy
from app.review.revisions import keep_revision, set_text, text_of
from app.review.shapes import RuleShape
from app.storage.tables import Decision, Instance, Lease, Person, Project, RuleOverride

STATE = ("status", "round", "readings", "readings_wanted")


class Said(NamedTuple):
    """A decision that is written down, with the text it leaves, what it would teach and what it was made under."""

    decision: Decision
    text: Text
    case: Case | None
    policy: Policy


def write_down(
    session: Session, person: Person, instance: Instance, judgement: Judgement, **values: Any
) -> Said:
    """Keep a judgement as a decision with its revision and overrules; the instance itself stays as it is.

    `values` are further columns of the decision.

    Raises:
        InvalidInput: names the field.
    """
    project = session.get_one(Project, instance.project_id)
    seen = decision_queries.on_screen(session, instance, person.id)
    rules = _rules_in_question(session, instance, judgement)
    before = text_of(instance)
    judgement = judgement._replace(
        reason=checked_reason(judgement, project.reasons), note=checked_note(judgement)
    )
    overrides = checked_rules(judgement, [rule.rule for rule in rules])
    after = checked_text(judgement, before)
    decision = Decision(
        project_id=project.id,
        instance_id=instance.id,
        person_id=person.id,
        stream=Stream.WORK,
        action=judgement.action,
        reason=judgement.reason,
        note=judgement.note,
        revision=instance.revision,
        new_revision=keep_revision(session, instance, person.id, after) if after != before else None,
        verdict_id=seen.verdict_id,
        guideline_version=seen.guideline_version,
        round=instance.round,
        before=state_of(instance),
        **values,
    )
    session.add(decision)
    session.flush()
    session.add_all(
        RuleOverride(decision_id=decision.id, rule=rule, answer=answer) for rule, answer in overrides.items()
    )
    if seen.has_draft and judgement.action != Action.SKIP:
        drop_draft(session, person.id, instance.id)
    log(
        session,
        person.id,
        f"instance {PAST[judgement.action]}" + (" as an adjudicator" if decision.is_adjudication else ""),
        f"instance {instance.id}",
        {"decision": decision.id, "reason": decision.reason, "revision": instance.revision},
        project_id=project.id,
    )
    return Said(decision, after, case_of(judgement, before, after, rules), seen.policy)


def _rules_in_question(session: Session, instance: Instance, judgement: Judgement) -> Sequence[RuleShape]:
    """Those of the verdict, where somebody overrules one, or a rejection says which fail."""
    if not judgement.rules and judgement.action is not Action.REJECT:
        return ()
    verdict = queries.known(session, instance.id).verdict
    return verdict.rules if verdict else ()


_END_LEASES = delete(Lease).where(Lease.instance_id == bindparam("instance_id"), Lease.stream == Stream.WORK)


def conclude(session: Session, instance: Instance, said: Said) -> None:
    """What was said holds: status, text and what it teaches. Nobody has the instance in hand any more."""
    instance.status = STATUS_AFTER[Action(said.decision.action)]
    instance.assigned_to = None
    if said.decision.new_revision is not None:
        set_text(instance, said.text, said.decision.new_revision)
    keep_case(session, instance, said.case)
    end_leases(session, instance.id)


def open_dispute(session: Session, instance: Instance) -> None:
    """Readers are through with it; an adjudicator has the word."""
    instance.status = InstanceStatus.DISPUTED
    end_leases(session, instance.id)


def begin_round(instance: Instance) -> None:
    """To be read anew: what was said before stays in the history and counts no more."""
    instance.status = InstanceStatus.WAITING
    instance.round += 1
    instance.readings, instance.readings_wanted = 0, None


def end_leases(session: Session, instance_id: int) -> None:
    session.execute(
        _END_LEASES, {"instance_id": instance_id}, execution_options={"synchronize_session": False}
    )


# --- the state that an undo brings back -------------------------------------------------------------------


def state_of(instance: Instance) -> dict[str, Any]:
    return {name: getattr(instance, name) for name in STATE}


def bring_back(instance: Instance, decision: Decision) -> None:
    """The state before the decision. One from before there were rounds knows only that the instance waited."""
    first = {"status": InstanceStatus.WAITING, "round": 0, "readings": 0, "readings_wanted": None}
    for name, value in (first | (decision.before or {})).items():
        if name in STATE:
            setattr(instance, name, value)

"""Taking a reader's decisions, and taking them back. What is decided on is held by a lease (`leases`)."""

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.errors import Conflict
from app.pipeline import STATUS_AFTER, Action, InstanceStatus, Stream
from app.prompting.exemplars import Case, exemplar_of, text_hash
from app.review import leases, queries
from app.review.assignment import UNDO_DEPTH
from app.review.bank import case_of
from app.review.difference import edit_distance
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
from app.storage.tables import (
    Decision,
    Exemplar,
    GuidelineSeen,
    Instance,
    Lease,
    Person,
    Project,
    Revision,
    RuleOverride,
    RunExemplar,
)

# --- decisions --------------------------------------------------------------------------------------------


def decide(session: Session, person: Person, instance_id: int, token: str, judgement: Judgement) -> Decision:
    """Store what a person says about an instance they hold.

    Raises:
        Conflict: somebody else holds it, or it is decided; says who.
        InvalidInput: names the field.
    """
    instance = leases.locked(session, instance_id)
    leases.demand_lease(session, instance, person, token)
    project = session.get_one(Project, instance.project_id)
    verdict = queries.newest_verdict(session, instance_id)
    rules = verdict.rules if verdict else []
    guideline = queries.guideline_in_force(session, project.id)
    before = text_of(instance)
    judgement = judgement._replace(
        reason=checked_reason(judgement, project.reasons), note=checked_note(judgement)
    )
    overrides = checked_rules(judgement, [rule.rule for rule in rules])
    after = checked_text(judgement, before)
    decision = Decision(
        project_id=project.id,
        instance_id=instance_id,
        person_id=person.id,
        stream=Stream.WORK,
        action=judgement.action,
        reason=judgement.reason,
        note=judgement.note,
        revision=instance.revision,
        verdict_id=verdict.id if verdict else None,
        guideline_version=guideline.version if guideline else None,
    )
    if after != before:
        decision.new_revision = _keep_revision(session, instance, person, after)
    session.add(decision)
    session.flush()
    session.add_all(
        RuleOverride(decision_id=decision.id, rule=rule, answer=answer) for rule, answer in overrides.items()
    )
    instance.status = STATUS_AFTER[judgement.action]
    session.execute(delete(Lease).where(_leases_to_end(decision)))
    if judgement.action != Action.SKIP:
        drop_draft(session, person.id, instance_id)
    _keep_case(session, instance, case_of(judgement, before, after, rules))
    log(
        session,
        person.id,
        f"instance {PAST[judgement.action]}",
        f"instance {instance_id}",
        {"decision": decision.id, "reason": decision.reason, "revision": instance.revision},
        project_id=project.id,
    )
    return decision


def text_of(instance: Instance) -> Text:
    return Text(instance.instruction, instance.information, instance.solution)


def _leases_to_end(decision: Decision) -> ColumnElement[bool]:
    """After a skip others may hold the instance; after every other decision nobody does."""
    on_instance = Lease.instance_id == decision.instance_id
    if decision.action == Action.SKIP:
        return on_instance & (Lease.person_id == decision.person_id)
    return on_instance


def _keep_revision(session: Session, instance: Instance, person: Person, after: Text) -> int:
    """Make `after` the text of the instance under a new number; the model's own is kept as number 0."""
    before = text_of(instance)
    newest = session.scalar(select(func.max(Revision.number)).where(Revision.instance_id == instance.id))
    if newest is None:
        session.add(Revision(instance_id=instance.id, number=0, **before._asdict()))
        newest = 0
    number = newest + 1
    distance = sum(edit_distance(old, new) for old, new in zip(before, after, strict=True))
    session.add(
        Revision(
            instance_id=instance.id,
            number=number,
            person_id=person.id,
            edit_distance=distance,
            **after._asdict(),
        )
    )
    _set_text(instance, after, number)
    return number


def _set_text(instance: Instance, text: Text, revision: int) -> None:
    instance.instruction, instance.information, instance.solution = text
    instance.revision = revision
    instance.text_hash = text_hash(instance.task, *text)


# --- the example bank -------------------------------------------------------------------------------------


def _keep_case(session: Session, instance: Instance, case: Case | None) -> None:
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
    session.execute(
        insert(Exemplar)
        .values(columns)
        .on_conflict_do_update(
            index_elements=[Exemplar.project_id, Exemplar.content_hash],
            set_={key: columns[key] for key in ("is_good", "analysis", "origin", "instance_id")},
            where=~frozen_by_a_run(),
        )
    )


def _forget_case(session: Session, instance: Instance) -> bool:
    """Take the case of a decision on the present text out of the bank; False where a run has frozen it."""
    same = (
        Exemplar.project_id == instance.project_id,
        Exemplar.content_hash == text_hash(instance.task, *text_of(instance)),
        Exemplar.instance_id == instance.id,
        Exemplar.origin == "person",
    )
    session.execute(delete(Exemplar).where(*same, ~frozen_by_a_run()))
    return session.scalar(select(Exemplar.id).where(*same)) is None


def frozen_by_a_run() -> ColumnElement[bool]:
    return exists().where(RunExemplar.exemplar_id == Exemplar.id)


# --- taking back ------------------------------------------------------------------------------------------


def undo(session: Session, person: Person, decision_id: int) -> Decision:
    """Take back one's own decision, text included; the instance comes first to that person again.

    Raises:
        NotFound: no decision of this person has this number.
        Conflict: it is undone already, too far back, or somebody decided on the instance since.
    """
    instance = leases.locked(session, queries.decision_of(session, decision_id, person.id).instance_id)
    decision = session.get_one(Decision, decision_id, populate_existing=True)
    _demand_undoable(session, decision)
    kept_in_bank = decision.action != Action.SKIP and not _forget_case(session, instance)
    if decision.new_revision is not None:
        _set_text(
            instance, queries.text_of_revision(session, instance.id, decision.revision), decision.revision
        )
    decision.undone_at = session.scalar(select(func.now()))
    instance.status = InstanceStatus.WAITING
    session.flush()
    if queries.lease_of_another(session, instance.id, person.id) is None:
        session.execute(delete(Lease).where(Lease.instance_id == instance.id, Lease.person_id == person.id))
        leases.give_lease(session, instance.id, person.id, first=True)
    log(
        session,
        person.id,
        "decision undone",
        f"instance {instance.id}",
        {"decision": decision_id, "action": decision.action, "kept_in_bank": kept_in_bank},
        project_id=decision.project_id,
    )
    return decision


def _demand_undoable(session: Session, decision: Decision) -> None:
    if decision.undone_at is not None:
        raise Conflict(f"decision {decision.id} is undone already")
    if decision.stream != Stream.WORK:
        raise Conflict("an answer in an audit stands")
    if decision.bulk_action_id is not None:
        raise Conflict(f"decision {decision.id} is undone with all of bulk action {decision.bulk_action_id}")
    recent = queries.recent_decisions(session, decision.project_id, decision.person_id, UNDO_DEPTH)
    if decision.id not in [one.id for one in recent]:
        raise Conflict(f"only your last {UNDO_DEPTH} decisions can be undone")
    later = queries.deciding(session, decision.instance_id, after=decision.id)
    if later is not None:
        raise Conflict(f"{later[1]} decided on instance {decision.instance_id} after you")


# --- the guideline ----------------------------------------------------------------------------------------


def keep_guideline_seen(session: Session, project_id: int, person_id: int, version: int) -> None:
    """Note that a person has opened this version, so that it does not open by itself again."""
    seen = insert(GuidelineSeen).values(person_id=person_id, project_id=project_id, version=version)
    session.execute(
        seen.on_conflict_do_update(
            index_elements=[GuidelineSeen.person_id, GuidelineSeen.project_id],
            set_={"version": func.greatest(GuidelineSeen.version, version)},
        )
    )

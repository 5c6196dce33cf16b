"""Taking a reader's decisions, and taking them back. What is decided on is held by a lease (`leases`)."""

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.errors import Conflict, InvalidInput
from app.pipeline import Action, InstanceStatus, Stream
from app.review import decision_queries, leases
from app.review.assignment import UNDO_DEPTH
from app.review.cases import forget_case
from app.review.judgement import Judgement
from app.review.overlap import Policy, agree, readings_wanted
from app.review.recording import (
    Said,
    bring_back,
    conclude,
    end_leases,
    open_dispute,
    write_down,
)
from app.review.revisions import set_text, text_of_revision
from app.storage.tables import Decision, GuidelineSeen, Instance, Lease, Person

# --- decisions --------------------------------------------------------------------------------------------


def decide(
    session: Session,
    person: Person,
    instance_id: int,
    token: str,
    judgement: Judgement,
    project_id: int | None = None,
) -> Decision:
    """Store what a person says about an instance they hold.

    Raises:
        NotFound: there is no such instance, or not in this project.
        Conflict: somebody else holds it, or it is decided; says who.
        InvalidInput: names the field.
    """
    instance = leases.locked(session, instance_id, project_id)
    lease = leases.demand_lease(session, instance, person, token)
    said = write_down(session, person, instance, judgement, leased_at=lease.leased_at)
    if judgement.action is Action.SKIP:
        _pass_on(session, instance, person, said.policy)
    else:
        _count_reading(session, instance, said)
    return said.decision


def _pass_on(session: Session, instance: Instance, person: Person, policy: Policy) -> None:
    """Others may take it now; what enough of them skip would wait for ever without an adjudicator."""
    session.execute(
        delete(Lease).where(
            Lease.instance_id == instance.id, Lease.person_id == person.id, Lease.stream == Stream.WORK
        )
    )
    instance.assigned_to = None
    readers = {skip.person_id for skip, _ in decision_queries.skips(session, instance)}
    if 0 < policy.skips_to_adjudicate <= len(readers):
        open_dispute(session, instance)


def _count_reading(session: Session, instance: Instance, said: Said) -> None:
    """One of the readings that are wanted; the last one shows whether they agree."""
    if instance.readings_wanted is None:
        instance.readings_wanted = readings_wanted(instance.id, said.policy)
    instance.readings += 1
    if instance.readings < instance.readings_wanted:
        instance.assigned_to = None
        end_leases(session, instance.id)
    elif instance.readings == 1 or agree(
        [one.opinion for one in decision_queries.opinions(session, instance)]
    ):
        conclude(session, instance, said)
    else:
        open_dispute(session, instance)


# --- taking back ------------------------------------------------------------------------------------------


def undo(session: Session, person: Person, decision_id: int) -> Decision:
    """Take back one's own decision, text included; the instance comes first to that person again.

    Raises:
        NotFound: no decision of this person has this number.
        Conflict: it is undone already, too far back, or somebody decided on the instance since.
    """
    instance = leases.locked(
        session, decision_queries.decision_of(session, decision_id, person.id).instance_id
    )
    decision = session.get_one(Decision, decision_id, populate_existing=True)
    _demand_undoable(session, decision)
    kept_in_bank = decision.action != Action.SKIP and not forget_case(session, instance)
    if decision.new_revision is not None and decision.new_revision == instance.revision:
        set_text(instance, text_of_revision(session, instance.id, decision.revision), decision.revision)
    decision.undone_at = session.scalar(func.now().select())
    if decision.action != Action.SKIP:
        bring_back(instance, decision)
    elif instance.status == InstanceStatus.DISPUTED and instance.round == decision.round:
        instance.status = InstanceStatus.WAITING  # it was one skip too many; what others said meanwhile stays
    session.flush()
    if instance.status == InstanceStatus.WAITING:
        _put_first(session, instance, person)
    log(
        session,
        person.id,
        "decision undone",
        f"instance {instance.id}",
        {"decision": decision_id, "action": decision.action, "kept_in_bank": kept_in_bank},
        project_id=decision.project_id,
    )
    return decision


def _put_first(session: Session, instance: Instance, person: Person) -> None:
    """Give the instance to this person before all else, unless somebody reads it already."""
    lease = leases.holder(session, instance.id)
    if lease is not None and lease.person_id == person.id:
        session.delete(lease)
        session.flush()
        lease = None
    if lease is None:
        leases.give_lease(session, instance.id, person.id, first=True)


def _demand_undoable(session: Session, decision: Decision) -> None:
    if decision.undone_at is not None:
        raise Conflict(f"decision {decision.id} is undone already")
    if decision.stream != Stream.WORK:
        raise Conflict("an answer in an audit stands")
    if decision.bulk_action_id is not None:
        raise Conflict(f"decision {decision.id} is undone with all of bulk action {decision.bulk_action_id}")
    recent = decision_queries.recent_decisions(session, decision.project_id, decision.person_id, UNDO_DEPTH)
    if decision.id not in recent:
        raise Conflict(f"only your last {UNDO_DEPTH} decisions can be undone")
    later = decision_queries.deciding(session, decision.instance_id, after=decision.id)
    if later is not None:
        raise Conflict(f"{later[1]} decided on instance {decision.instance_id} after you")


# --- the guideline ----------------------------------------------------------------------------------------


def keep_guideline_seen(session: Session, project_id: int, person_id: int, version: int) -> None:
    """Note that a person has opened this version, so that it does not open by itself again.

    Raises InvalidInput for a version that the project does not have: a later one would never open by itself.
    """
    if not 0 < version <= (decision_queries.guideline_version(session, project_id) or 0):
        raise InvalidInput(f"the guideline has no version {version}", "version")
    seen = insert(GuidelineSeen).values(person_id=person_id, project_id=project_id, version=version)
    session.execute(
        seen.on_conflict_do_update(
            index_elements=[GuidelineSeen.person_id, GuidelineSeen.project_id],
            set_={"version": func.greatest(GuidelineSeen.version, version)},
        )
    )

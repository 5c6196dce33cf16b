"""Deciding where readers disagree, or where too many skipped. Touches the tables."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.errors import Conflict, InvalidInput
from app.pipeline import Action, InstanceStatus, Move, Stream
from app.review import decision_queries, leases
from app.review.filters import MOST_COUNTED
from app.review.judgement import Judgement, checked_note
from app.review.recording import begin_round, conclude, state_of, write_down
from app.storage.keyset import newest_first
from app.storage.tables import Decision, Instance, Person, Snippet


class Dispute(NamedTuple):
    """One line of the list. `said`: how many readers accepted, edited, rejected, skipped."""

    id: int
    task: str
    language: str
    instruction: str
    snippet: str | None
    said: dict[str, int]


def disputes(session: Session, project_id: int, before: int | None, limit: int) -> list[Dispute]:
    """What waits for an adjudicator, the newest instance first."""
    query = (
        select(
            Instance.id,
            Instance.task,
            Instance.language,
            func.left(Instance.instruction, 1000),
            Snippet.name,
            Instance.round,
        )
        .outerjoin(Snippet, Snippet.id == Instance.snippet_id)
        .where(Instance.project_id == project_id, Instance.status == InstanceStatus.DISPUTED)
    )
    rows = session.execute(newest_first(query, Instance.id, before, limit)).all()
    said = _said(session, [row[0] for row in rows])
    return [Dispute(*row[:5], said.get((row[0], row[5]), {})) for row in rows]


def _said(session: Session, instance_ids: Sequence[int]) -> dict[tuple[int, int], dict[str, int]]:
    """By instance and round: standing answers by action."""
    query = (
        select(Decision.instance_id, Decision.round, Decision.action, func.count())
        .where(
            Decision.instance_id.in_(instance_ids),
            Decision.stream == Stream.WORK,
            Decision.undone_at.is_(None),
        )
        .group_by(Decision.instance_id, Decision.round, Decision.action)
    )
    found: dict[tuple[int, int], dict[str, int]] = {}
    for instance_id, number, action, times in session.execute(query):
        found.setdefault((instance_id, number), {})[action] = times
    return found


class Counts(NamedTuple):
    """Each stops counting at MOST_COUNTED + 1."""

    disputed: int
    half_read: int  # somebody has read them, and another reader is wanted


def counts(session: Session, project_id: int) -> Counts:
    here = select(Instance.id).where(Instance.project_id == project_id).limit(MOST_COUNTED + 1)
    disputed = here.where(Instance.status == InstanceStatus.DISPUTED).subquery()
    half_read = here.where(Instance.status == InstanceStatus.WAITING, Instance.readings > 0).subquery()
    return Counts(
        *(session.scalar(select(func.count()).select_from(some)) or 0 for some in (disputed, half_read))
    )


def newest_answer(session: Session, instance_id: int) -> int:
    """The number of the newest standing answer: names what an adjudicator has on screen; 0 for none."""
    query = select(func.max(Decision.id)).where(
        Decision.instance_id == instance_id,
        Decision.stream == Stream.WORK,
        Decision.undone_at.is_(None),
    )
    return session.scalar(query) or 0


def adjudicate(
    session: Session, person: Person, instance_id: int, judgement: Judgement, seen: int | None = None
) -> Decision:
    """Decide in the readers' place. `seen`: the newest answer that was on screen.

    Raises:
        Conflict: it does not wait for an adjudicator any more, or somebody answered meanwhile.
        InvalidInput: names the field; a skip is refused, sending it back is for that.
    """
    instance = _disputed(session, person, instance_id, seen)
    if judgement.action is Action.SKIP:
        raise InvalidInput("an adjudicator decides or sends it back; there is no skipping", "action")
    said = write_down(session, person, instance, judgement, is_adjudication=True)
    conclude(session, instance, said)
    return said.decision


def send_back(
    session: Session, person: Person, instance_id: int, note: str, seen: int | None = None
) -> Decision:
    """Have it read anew, by the same people, too; what was said stays in the history.

    Raises:
        Conflict: as `adjudicate`.
        InvalidInput: the note is too long.
    """
    instance = _disputed(session, person, instance_id, seen)
    note = checked_note(Judgement(Action.SKIP, None, note, {}, {}))
    decision = Decision(
        project_id=instance.project_id,
        instance_id=instance.id,
        person_id=person.id,
        stream=Stream.WORK,
        action=Move.RESTORE,
        note=note,
        revision=instance.revision,
        round=instance.round,
        is_adjudication=True,
        before=state_of(instance),
    )
    session.add(decision)
    begin_round(instance)
    session.flush()
    log(
        session,
        person.id,
        "instance sent back",
        f"instance {instance.id}",
        {"decision": decision.id},
        project_id=instance.project_id,
    )
    return decision


def _disputed(session: Session, person: Person, instance_id: int, seen: int | None) -> Instance:
    instance = leases.locked(session, instance_id)
    if instance.status == InstanceStatus.WAITING:
        raise Conflict(f"instance {instance_id} is with its readers, not with an adjudicator")
    if instance.status != InstanceStatus.DISPUTED:
        raise Conflict(leases.why_not(session, instance, person.id))
    if seen is not None and seen != newest_answer(session, instance_id):
        raise Conflict(f"somebody has answered on instance {instance_id} since you opened it")
    return instance


def disagreeing(found: Sequence[decision_queries.Standing]) -> bool:
    """At least two keep it, with different texts: worth a diff between them."""
    return len({one.opinion.text for one in found if one.opinion.action != Action.REJECT}) > 1

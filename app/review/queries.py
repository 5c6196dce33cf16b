"""What the review stage reads: the queue, the card and decisions. Lists: `filters`; the rest: `history`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.pipeline import Action, InstanceStatus, Stream
from app.review.assignment import Queue
from app.review.filters import MOST_COUNTED, Filters, matching
from app.review.judgement import Text
from app.review.shapes import (
    EvidenceShape,
    RuleShape,
    VerdictShape,
)
from app.storage.tables import (
    Decision,
    Evidence,
    Guideline,
    GuidelineSeen,
    Instance,
    Lease,
    Person,
    Revision,
    RuleAnswer,
    RuleOverride,
    Snippet,
    VerdictRow,
)

_Query = TypeVar("_Query", bound=Select[*tuple[Any, ...]])

# --- the queue --------------------------------------------------------------------------------------------


def held_by_another(person_id: int) -> ColumnElement[bool]:
    """Another person has a lease on the instance that has not run out."""
    return exists().where(
        Lease.instance_id == Instance.id, Lease.person_id != person_id, Lease.expires_at > func.now()
    )


def held_by(person_id: int) -> ColumnElement[bool]:
    return exists().where(
        Lease.instance_id == Instance.id, Lease.person_id == person_id, Lease.expires_at > func.now()
    )


def skipped_by(person_id: int) -> ColumnElement[bool]:
    return exists().where(
        Decision.instance_id == Instance.id,
        Decision.person_id == person_id,
        Decision.action == Action.SKIP,
        Decision.undone_at.is_(None),
    )


def _waiting(project_id: int, filters: Filters) -> list[ColumnElement[bool]]:
    return [
        Instance.project_id == project_id,
        Instance.status == InstanceStatus.WAITING,
        *matching(filters._replace(status=None)),
    ]


def _of_instances(query: _Query, filters: Filters) -> _Query:
    """`query` with the snippets at hand, where the filter looks at them."""
    return query.outerjoin(Snippet, Snippet.id == Instance.snippet_id) if filters.q else query


def lock_next(session: Session, project_id: int, person_id: int, filters: Filters) -> Instance | None:
    """The instance that this person reads next, locked; those that somebody else is just taking are passed over."""
    query = (
        _of_instances(select(Instance), filters)
        .where(
            *_waiting(project_id, filters),
            ~held_by_another(person_id),
            ~skipped_by(person_id),
            ~held_by(person_id),
        )
        .order_by(Instance.priority, Instance.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=Instance)
    )
    return session.scalars(query).one_or_none()


class OpenLease(NamedTuple):
    instance: Instance
    lease: Lease


def open_leases(session: Session, project_id: int, person_id: int) -> list[OpenLease]:
    """What this person holds in the work stream and nobody decided meanwhile, the longest held first."""
    query = (
        select(Instance, Lease)
        .join(Lease, Lease.instance_id == Instance.id)
        .where(
            Lease.person_id == person_id,
            Lease.stream == Stream.WORK,
            Lease.expires_at > func.now(),
            Instance.project_id == project_id,
            Instance.status == InstanceStatus.WAITING,
        )
        .order_by(Lease.leased_at, Lease.id)
    )
    return [OpenLease(instance, lease) for instance, lease in session.execute(query)]


def fits(session: Session, instance_id: int, filters: Filters) -> bool:
    query = _of_instances(select(Instance.id), filters).where(
        Instance.id == instance_id, *matching(filters._replace(status=None))
    )
    return session.scalar(query) is not None


def lease_of_another(session: Session, instance_id: int, person_id: int) -> tuple[str, datetime] | None:
    """(who, until when) holds the instance, if another person does."""
    query = (
        select(Person.name, Lease.expires_at)
        .join(Lease, Lease.person_id == Person.id)
        .where(Lease.instance_id == instance_id, Person.id != person_id, Lease.expires_at > func.now())
    )
    row = session.execute(query).first()
    return (row[0], row[1]) if row else None


def queue_of(session: Session, project_id: int, person_id: int, filters: Filters) -> Queue:
    """How the queue stands for a person, counted for real: asked only when there is nothing to give."""
    others = held_by_another(person_id)
    counts = (
        select(func.count(), func.count().filter(~others & skipped_by(person_id)))
        .select_from(Instance)
        .where(~held_by(person_id))
    )
    everything = session.execute(counts.where(*_waiting(project_id, Filters()))).one()
    matching_count, skipped = session.execute(
        _of_instances(counts, filters).where(*_waiting(project_id, filters))
    ).one()
    free_at = session.scalar(
        _of_instances(
            select(func.min(Lease.expires_at)).join(Instance, Instance.id == Lease.instance_id), filters
        ).where(*_waiting(project_id, filters), Lease.person_id != person_id, Lease.expires_at > func.now())
    )
    generating = select(func.count()).where(
        Instance.project_id == project_id, Instance.status == InstanceStatus.GENERATING
    )
    decided = exists().where(
        Instance.project_id == project_id,
        Instance.status.in_((InstanceStatus.ACCEPTED, InstanceStatus.REJECTED, InstanceStatus.WITHDRAWN)),
    )
    return Queue(
        waiting=everything[0],
        matching=matching_count,
        with_others=matching_count - skipped,
        skipped=skipped,
        free_at=free_at,
        generating=session.scalar(generating) or 0,
        decided=bool(session.scalar(select(decided))),
    )


class Progress(NamedTuple):
    """What the header of the card says. `remaining` stops counting at MOST_COUNTED + 1."""

    mine_today: int
    remaining: int


def progress(session: Session, project_id: int, person_id: int) -> Progress:
    mine = select(func.count()).where(
        Decision.project_id == project_id,
        Decision.person_id == person_id,
        Decision.created_at >= func.date_trunc("day", func.now()),
        Decision.bulk_action_id.is_(None),
        Decision.undone_at.is_(None),
        Decision.action != Action.SKIP,
    )
    some_waiting = (
        select(Instance.id)
        .where(Instance.project_id == project_id, Instance.status == InstanceStatus.WAITING)
        .limit(MOST_COUNTED + 1)
        .subquery()
    )
    remaining = select(func.count()).select_from(some_waiting)
    return Progress(session.scalar(mine) or 0, session.scalar(remaining) or 0)


# --- decisions --------------------------------------------------------------------------------------------


def decision(session: Session, decision_id: int) -> Decision:
    """Raises NotFound."""
    found = session.get(Decision, decision_id)
    if found is None:
        raise NotFound(f"there is no decision {decision_id}")
    return found


def decision_of(session: Session, decision_id: int, person_id: int) -> Decision:
    """Raises NotFound, also for other people's."""
    found = session.get(Decision, decision_id)
    if found is None or found.person_id != person_id:
        raise NotFound(f"you have made no decision {decision_id}")
    return found


def overrides_of(session: Session, decision_id: int) -> dict[str, str]:
    """A person's own answers beside the machine's, by rule."""
    rows = session.scalars(select(RuleOverride).where(RuleOverride.decision_id == decision_id))
    return {one.rule: one.answer for one in rows}


def recent_decisions(session: Session, project_id: int, person_id: int, depth: int) -> list[Decision]:
    """This person's newest standing decisions of the work stream, newest first; those of a bulk action are not theirs."""
    query = (
        select(Decision)
        .where(
            Decision.project_id == project_id,
            Decision.person_id == person_id,
            Decision.stream == Stream.WORK,
            Decision.bulk_action_id.is_(None),
            Decision.undone_at.is_(None),
        )
        .order_by(Decision.id.desc())
        .limit(depth)
    )
    return list(session.scalars(query))


def deciding(session: Session, instance_id: int, *, after: int = 0) -> tuple[Decision, str] | None:
    """The newest standing decision that changed the instance's status, and who made it; later than `after`."""
    query = (
        select(Decision, Person.name)
        .join(Person, Person.id == Decision.person_id)
        .where(
            Decision.instance_id == instance_id,
            Decision.undone_at.is_(None),
            Decision.action != Action.SKIP,
            Decision.id > after,
        )
        .order_by(Decision.id.desc())
        .limit(1)
    )
    row = session.execute(query).first()
    return (row[0], row[1]) if row else None


def guideline_in_force(session: Session, project_id: int) -> Guideline | None:
    query = (
        select(Guideline)
        .where(Guideline.project_id == project_id)
        .order_by(Guideline.version.desc())
        .limit(1)
    )
    return session.scalars(query).one_or_none()


def guideline_version_seen(session: Session, project_id: int, person_id: int) -> int:
    """The newest version that the person has opened; 0 for none."""
    seen = session.get(GuidelineSeen, {"person_id": person_id, "project_id": project_id})
    return seen.version if seen else 0


class Step(NamedTuple):
    """Where one is among one's last decisions: numbers of decisions, or none; `newer` 0 is the present card."""

    older: int | None
    newer: int | None


def steps_from(recent: Sequence[Decision], decision_id: int | None) -> Step:
    """The decisions beside this one; beside the present card (None) there is only the newest."""
    numbers = [one.id for one in recent]
    if decision_id is None:
        return Step(numbers[0] if numbers else None, None)
    if decision_id not in numbers:
        return Step(None, 0)
    at = numbers.index(decision_id)
    return Step(numbers[at + 1] if at + 1 < len(numbers) else None, numbers[at - 1] if at else 0)


# --- one instance -----------------------------------------------------------------------------------------


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


def evidence(session: Session, instance_id: int) -> list[EvidenceShape]:
    """What was checked mechanically, by revision and kind."""
    query = (
        select(Evidence).where(Evidence.instance_id == instance_id).order_by(Evidence.revision, Evidence.kind)
    )
    return [EvidenceShape.model_validate(row) for row in session.scalars(query)]


def newest_verdict(session: Session, instance_id: int) -> VerdictShape | None:
    """The newest opinion with its rules: failed ones first, then passed, then unchecked."""
    row = session.scalars(
        select(VerdictRow)
        .where(VerdictRow.instance_id == instance_id)
        .order_by(VerdictRow.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    answers = session.scalars(
        select(RuleAnswer).where(RuleAnswer.verdict_id == row.id).order_by(RuleAnswer.id)
    )
    order = {"no": 0, "yes": 1}
    rules = sorted((RuleShape.model_validate(one) for one in answers), key=lambda r: order.get(r.answer, 2))
    return VerdictShape.model_validate({**columns_of(row), "rules": rules})


def text_of_revision(session: Session, instance_id: int, number: int) -> Text:
    query = select(Revision.instruction, Revision.information, Revision.solution).where(
        Revision.instance_id == instance_id, Revision.number == number
    )
    return Text(*session.execute(query).one())


class Reading(NamedTuple):
    """What a reader sees of an instance. `model_text` is the machine's own where a person has changed it since."""

    instance: Instance
    snippet: Snippet | None
    evidence: list[EvidenceShape]
    verdict: VerdictShape | None
    model_text: Text | None


def reading(session: Session, row: Instance) -> Reading:
    return Reading(
        row,
        session.get(Snippet, row.snippet_id) if row.snippet_id else None,
        evidence(session, row.id),
        newest_verdict(session, row.id),
        text_of_revision(session, row.id, 0) if row.revision else None,
    )


def columns_of(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}

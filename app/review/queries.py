"""What the review stage reads: the queue, the card and decisions. Lists: `filters`; the rest: `history`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.pipeline import Action, InstanceStatus, Stream
from app.review.assignment import Queue, Reader
from app.review.filters import Filters, ids_matching, matching
from app.review.judgement import Text
from app.review.overlap import Opinion
from app.review.revisions import text_of, text_of_revision
from app.review.shapes import (
    EvidenceShape,
    RuleShape,
    VerdictShape,
)
from app.storage.tables import (
    Decision,
    Draft,
    Evidence,
    Guideline,
    GuidelineSeen,
    Instance,
    Lease,
    Person,
    Project,
    ReaderLanguages,
    ReviewPolicy,
    RuleAnswer,
    RuleOverride,
    Snippet,
    VerdictRow,
)

_Query = TypeVar("_Query", bound=Select[*tuple[Any, ...]])
# What every decision asks is put together once: building such a statement takes longer than Postgres does with it.
_PROJECT, _PERSON, _INSTANCE = (
    bindparam(name, type_=BigInteger) for name in ("project_id", "person_id", "instance_id")
)
_Id = int | BindParameter[int]
READINGS = (Action.ACCEPT, Action.EDIT, Action.REJECT)

# --- the queue --------------------------------------------------------------------------------------------


def held_by_another(person_id: _Id) -> ColumnElement[bool]:
    """Another person has a lease on the instance that has not run out."""
    return exists().where(
        Lease.instance_id == Instance.id, Lease.person_id != person_id, Lease.expires_at > func.now()
    )


def held_by(person_id: _Id) -> ColumnElement[bool]:
    return exists().where(
        Lease.instance_id == Instance.id, Lease.person_id == person_id, Lease.expires_at > func.now()
    )


def answered_by(person_id: _Id, *actions: Action) -> ColumnElement[bool]:
    """This person has said something in the present round that stands; with actions, one of these."""
    answer = exists().where(
        Decision.instance_id == Instance.id,
        Decision.person_id == person_id,
        Decision.round == Instance.round,
        Decision.undone_at.is_(None),
    )
    return answer.where(Decision.action.in_(actions)) if actions else answer


def _waiting(project_id: _Id) -> list[ColumnElement[bool]]:
    return [Instance.project_id == project_id, Instance.status == InstanceStatus.WAITING]


def _reads(reader: Reader, filters: Filters) -> ColumnElement[bool]:
    """The instance is in a language of the reader; one that is asked for by name is."""
    if not reader.languages or filters.language:
        return true()
    return Instance.language.in_(reader.languages)


def _of_instances(query: _Query, filters: Filters) -> _Query:
    """`query` with the snippets at hand, where the filter looks at them."""
    return query.outerjoin(Snippet, Snippet.id == Instance.snippet_id) if filters.q else query


def _is_mine(person_id: _Id) -> ColumnElement[bool]:
    return or_(Instance.assigned_to.is_(None), Instance.assigned_to == person_id)


def _last_answer(person_id: _Id) -> ColumnElement[int]:
    return (
        select(func.max(Decision.id))
        .where(Decision.instance_id == Instance.id, Decision.person_id == person_id)
        .correlate(Instance)
        .scalar_subquery()
    )


_READER = (
    select(
        ReaderLanguages.languages,
        ReviewPolicy.skips_return,
        select(Instance.id).where(*_waiting(_PROJECT), Instance.assigned_to == _PERSON).exists(),
    )
    .select_from(Project)
    .outerjoin(ReviewPolicy, ReviewPolicy.project_id == Project.id)
    .outerjoin(
        ReaderLanguages,
        and_(ReaderLanguages.project_id == Project.id, ReaderLanguages.person_id == _PERSON),
    )
    .where(Project.id == _PROJECT)
)


def reader_of(session: Session, project_id: int, person_id: int) -> Reader:
    """What is special about somebody who asks for something to read."""
    found = session.execute(_READER, {"project_id": project_id, "person_id": person_id}).one()
    languages, skips_return, has_own = found
    return Reader(person_id, languages or (), bool(skips_return), has_own)


MOST_FOUND = 1_000  # instances with a word: so many are sorted, more are met soon enough along the queue

_FREE = (
    select(Instance)
    .where(*_waiting(_PROJECT), ~held_by_another(_PERSON), ~held_by(_PERSON))
    .limit(1)
    .with_for_update(skip_locked=True, of=Instance)
    .execution_options(populate_existing=True)
)
# Either way all have the same `assigned_to`; named in the order, it lets Postgres walk along the index.
_NEW = _FREE.where(~answered_by(_PERSON)).order_by(Instance.assigned_to, Instance.priority, Instance.id)
_OWN = _NEW.where(Instance.assigned_to == _PERSON)
_EVERYBODYS = _NEW.where(Instance.assigned_to.is_(None))
_SKIPPED = _FREE.where(~answered_by(_PERSON, *READINGS), answered_by(_PERSON), _is_mine(_PERSON)).order_by(
    _last_answer(_PERSON)
)


def lock_next(session: Session, project_id: int, reader: Reader, filters: Filters) -> Instance | None:
    """The instance that this person reads next, locked; those that somebody else is just taking are passed over.

    What is assigned to them comes first, what they skipped last, if at all.
    """
    queues = [_OWN] if reader.has_own else []
    queues.append(_EVERYBODYS)
    if reader.skips_return:
        queues.append(_SKIPPED)
    if any(filters) or reader.languages:
        wanted = (*_wanted(session, project_id, filters), _reads(reader, filters))
        queues = [_of_instances(query, filters).where(*wanted) for query in queues]
    who = {"project_id": project_id, "person_id": reader.person_id}
    return next((found for query in queues if (found := session.scalars(query, who).one_or_none())), None)


def _wanted(session: Session, project_id: int, filters: Filters) -> list[ColumnElement[bool]]:
    """What the filter lets through; a rare word's instances by number, since a walk would pass all the others."""
    filters = filters._replace(status=None)
    if filters.q:
        found = ids_matching(
            session,
            project_id,
            filters._replace(status=InstanceStatus.WAITING),
            limit=MOST_FOUND + 1,
        )
        numbers = session.scalars(found).all()
        if len(numbers) <= MOST_FOUND:
            return [Instance.id == func.any(numbers)]
    return matching(filters)


class OpenLease(NamedTuple):
    instance: Instance
    lease: Lease


_OPEN_LEASES = (
    select(Instance, Lease)
    .join(Lease, Lease.instance_id == Instance.id)
    .where(
        Lease.person_id == _PERSON,
        Lease.stream == Stream.WORK,
        Lease.expires_at > func.now(),
        *_waiting(_PROJECT),
    )
    .order_by(Lease.leased_at, Lease.id)
)


def open_leases(session: Session, project_id: int, person_id: int) -> list[OpenLease]:
    """What this person holds in the work stream and nobody decided meanwhile, the longest held first."""
    found = session.execute(_OPEN_LEASES, {"project_id": project_id, "person_id": person_id})
    return [OpenLease(instance, lease) for instance, lease in found]


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


def queue_of(session: Session, project_id: int, reader: Reader, filters: Filters) -> Queue:
    """How the queue stands for a person: asked only when there is nothing to give.

    What matches is then in somebody's hands or answered by this person: it is counted from the leases and from
    the person's own decisions, where a look at every instance would take seconds in a large project.
    """
    person_id = reader.person_id
    waiting = _waiting(project_id)
    mine = [
        *waiting,
        _is_mine(person_id),
        _reads(reader, filters),
        *_wanted(session, project_id, filters),
    ]

    def count(*conditions: ColumnElement[bool]) -> int:
        return session.scalar(select(func.count()).select_from(Instance).where(*conditions)) or 0

    in_my_hands = session.scalar(
        select(func.count())
        .select_from(Lease)
        .join(Instance)
        .where(*waiting, Lease.person_id == person_id, _open())
    )
    with_others, free_at = session.execute(
        _of_instances(
            select(func.count(Instance.id.distinct()), func.min(Lease.expires_at))
            .select_from(Lease)
            .join(Instance),
            filters,
        ).where(*mine, Lease.person_id != person_id, _open(), ~answered_by(person_id, *READINGS))
    ).one()
    read, skipped = _answers_standing(session, person_id, mine, filters)
    if not (with_others or read or skipped) and session.scalar(
        _of_instances(select(Instance.id), filters).where(*mine, ~held_by(person_id)).limit(1)
    ):
        with_others = 1  # it was free, but locked: somebody is being given it at this moment
    decided = exists().where(
        Instance.project_id == project_id,
        Instance.status.in_((InstanceStatus.ACCEPTED, InstanceStatus.REJECTED, InstanceStatus.WITHDRAWN)),
    )
    return Queue(
        waiting=count(*waiting) - (in_my_hands or 0),
        assigned=count(*waiting, ~_is_mine(person_id)),
        other_languages=count(*waiting, _is_mine(person_id), ~_reads(reader, filters)),
        matching=read + with_others + skipped,
        read=read,
        with_others=with_others,
        skipped=skipped,
        free_at=free_at,
        generating=count(Instance.project_id == project_id, Instance.status == InstanceStatus.GENERATING),
        decided=bool(session.scalar(select(decided))),
    )


def _open() -> ColumnElement[bool]:
    return Lease.expires_at > func.now()


def _answers_standing(
    session: Session, person_id: int, mine: Sequence[ColumnElement[bool]], filters: Filters
) -> tuple[int, int]:
    """How many of the instances a person has decided on, and how many skipped that nobody holds."""
    answers = (
        _of_instances(
            select(Instance.id, func.bool_or(Decision.action.in_(READINGS)).label("is_read"))
            .select_from(Decision)
            .join(Instance, (Instance.id == Decision.instance_id) & (Instance.round == Decision.round)),
            filters,
        )
        .where(Decision.person_id == person_id, Decision.undone_at.is_(None), *mine, ~held_by(person_id))
        .group_by(Instance.id)
        .subquery()
    )
    held = exists().where(Lease.instance_id == answers.c.id, Lease.person_id != person_id, _open())
    read, skipped = session.execute(
        select(
            func.count().filter(answers.c.is_read), func.count().filter(~answers.c.is_read, ~held)
        ).select_from(answers)
    ).one()
    return read, skipped


MOST_LEFT = 1_000  # a reader's day is shorter; every card counts them


class Progress(NamedTuple):
    """What the header of the card says. `remaining` stops counting at MOST_LEFT + 1."""

    mine_today: int
    remaining: int


_MINE_TODAY = (
    select(func.count())
    .where(
        Decision.project_id == _PROJECT,
        Decision.person_id == _PERSON,
        Decision.created_at >= func.date_trunc("day", func.now()),
        Decision.bulk_action_id.is_(None),
        Decision.undone_at.is_(None),
        Decision.action != Action.SKIP,
    )
    .scalar_subquery()
)
_SOME_WAITING = select(Instance.id).where(*_waiting(_PROJECT)).limit(MOST_LEFT + 1).subquery()
_PROGRESS = select(_MINE_TODAY, select(func.count()).select_from(_SOME_WAITING).scalar_subquery())


def progress(session: Session, project_id: int, person_id: int) -> Progress:
    return Progress(*session.execute(_PROGRESS, {"project_id": project_id, "person_id": person_id}).one())


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


def reasons_given(session: Session, project_id: int) -> list[tuple[str, str, int]]:
    """(reason, action, standing decisions), those of bulk actions too; the most frequent first."""
    query = (
        select(Decision.reason, Decision.action, func.count())
        .where(Decision.project_id == project_id, Decision.reason.is_not(None), Decision.undone_at.is_(None))
        .group_by(Decision.reason, Decision.action)
        .order_by(func.count().desc(), Decision.reason)
    )
    return [(str(reason), action, times) for reason, action, times in session.execute(query)]


def overrides_of(session: Session, decision_id: int) -> dict[str, str]:
    """A person's own answers beside the machine's, by rule."""
    rows = session.scalars(select(RuleOverride).where(RuleOverride.decision_id == decision_id))
    return {one.rule: one.answer for one in rows}


_RECENT = (
    select(Decision.id)
    .where(
        Decision.project_id == _PROJECT,
        Decision.person_id == _PERSON,
        Decision.stream == Stream.WORK,
        Decision.bulk_action_id.is_(None),
        Decision.undone_at.is_(None),
    )
    .order_by(Decision.id.desc())
    .limit(bindparam("depth", type_=BigInteger))
)


def recent_decisions(session: Session, project_id: int, person_id: int, depth: int) -> Sequence[int]:
    """The numbers of this person's newest standing decisions of the work stream, newest first.

    Those of a bulk action are not theirs.
    """
    asked = {"project_id": project_id, "person_id": person_id, "depth": depth}
    return session.scalars(_RECENT, asked).all()


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


_READING_OF = (
    select(Decision)
    .where(
        Decision.instance_id == _INSTANCE,
        Decision.person_id == _PERSON,
        Decision.round == bindparam("round", type_=BigInteger),
        Decision.action.in_(READINGS),
        Decision.undone_at.is_(None),
    )
    .order_by(Decision.id.desc())
    .limit(1)
)


def reading_of(session: Session, row: Instance, person_id: int) -> Decision | None:
    """What this person has said about the instance in the present round, skips apart."""
    asked = {"instance_id": row.id, "person_id": person_id, "round": row.round}
    return session.scalars(_READING_OF, asked).one_or_none()


class Standing(NamedTuple):
    """One reader's word on an instance, whole."""

    decision: Decision
    person: str
    opinion: Opinion


def opinions(session: Session, row: Instance) -> list[Standing]:
    """What the readers of the present round said, the first one first."""
    query = (
        select(Decision, Person.name)
        .join(Person, Person.id == Decision.person_id)
        .where(
            Decision.instance_id == row.id,
            Decision.round == row.round,
            Decision.action.in_(READINGS),
            Decision.undone_at.is_(None),
            ~Decision.is_adjudication,
            Decision.bulk_action_id.is_(None),
        )
        .order_by(Decision.id)
    )
    return [
        Standing(one, name, Opinion(one.id, one.person_id, one.action, _text_left_by(session, row, one)))
        for one, name in session.execute(query)
    ]


def _revision_left_by(decision: Decision) -> int:
    return decision.revision if decision.new_revision is None else decision.new_revision


def _text_left_by(session: Session, row: Instance, decision: Decision) -> Text:
    number = _revision_left_by(decision)
    return text_of(row) if number == row.revision else text_of_revision(session, row.id, number)


def guideline_in_force(session: Session, project_id: int) -> Guideline | None:
    query = (
        select(Guideline)
        .where(Guideline.project_id == project_id)
        .order_by(Guideline.version.desc())
        .limit(1)
    )
    return session.scalars(query).one_or_none()


def guideline_version(session: Session, project_id: int) -> int | None:
    """The version in force, without its text."""
    return session.scalar(select(func.max(Guideline.version)).where(Guideline.project_id == project_id))


class OnScreen(NamedTuple):
    """What a reader decides under: by numbers, without the texts."""

    guideline_version: int | None
    verdict_id: int | None
    has_draft: bool


_ON_SCREEN = select(
    select(func.max(Guideline.version)).where(Guideline.project_id == _PROJECT).scalar_subquery(),
    select(func.max(VerdictRow.id)).where(VerdictRow.instance_id == _INSTANCE).scalar_subquery(),
    select(Draft.person_id).where(Draft.person_id == _PERSON, Draft.instance_id == _INSTANCE).exists(),
)


def on_screen(session: Session, row: Instance, person_id: int) -> OnScreen:
    asked = {"project_id": row.project_id, "instance_id": row.id, "person_id": person_id}
    return OnScreen(*session.execute(_ON_SCREEN, asked).one())


def guideline_version_seen(session: Session, project_id: int, person_id: int) -> int:
    """The newest version that the person has opened; 0 for none."""
    seen = session.get(GuidelineSeen, {"person_id": person_id, "project_id": project_id})
    return seen.version if seen else 0


class Step(NamedTuple):
    """Where one is among one's last decisions: numbers of decisions, or none; `newer` 0 is the present card."""

    older: int | None
    newer: int | None


def steps_from(recent: Sequence[int], decision_id: int | None) -> Step:
    """The decisions beside this one; beside the present card (None) there is only the newest."""
    if decision_id is None:
        return Step(recent[0] if recent else None, None)
    if decision_id not in recent:
        return Step(None, 0)
    at = recent.index(decision_id)
    return Step(recent[at + 1] if at + 1 < len(recent) else None, recent[at - 1] if at else 0)


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
    number = row.revision if decision is None else _revision_left_by(decision)
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

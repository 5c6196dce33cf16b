"""The work stream: what a person reads next, and why there may be nothing. Touches the tables, and locks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    ARRAY,
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

from app.pipeline import READINGS, Action, InstanceStatus, Stream
from app.review.assignment import UNDO_DEPTH, Queue, Reader
from app.review.decision_queries import RECENT
from app.review.filters import Filters, ids_matching, matching
from app.storage.tables import (
    Decision,
    Instance,
    Lease,
    Person,
    Project,
    ReaderLanguages,
    ReviewPolicy,
    Snippet,
)

_Query = TypeVar("_Query", bound=Select[*tuple[Any, ...]])
# What every decision asks is put together once: building such a statement takes longer than Postgres does with it.
_PROJECT, _PERSON = (bindparam(name, type_=BigInteger) for name in ("project_id", "person_id"))
_Id = int | BindParameter[int]


def held_by_another(person_id: _Id) -> ColumnElement[bool]:
    """Another person has a lease of the work stream on the instance that has not run out."""
    return exists().where(
        Lease.instance_id == Instance.id,
        Lease.stream == Stream.WORK,
        Lease.person_id != person_id,
        Lease.expires_at > func.now(),
    )


def held_by(person_id: _Id) -> ColumnElement[bool]:
    """This person has a lease on the instance, for an audit too: what they read blind they are not shown here."""
    return exists().where(
        Lease.instance_id == Instance.id, Lease.person_id == person_id, Lease.expires_at > func.now()
    )


def answered_by(person_id: _Id, *actions: Action) -> ColumnElement[bool]:
    """This person has said something in the present round that stands; with actions, one of these."""
    answer = exists().where(
        Decision.instance_id == Instance.id,
        Decision.person_id == person_id,
        Decision.stream == Stream.WORK,
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
        .where(
            Decision.instance_id == Instance.id,
            Decision.person_id == person_id,
            Decision.stream == Stream.WORK,
        )
        .correlate(Instance)
        .scalar_subquery()
    )


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


_READER = (
    select(
        ReaderLanguages.languages,
        ReviewPolicy.skips_return,
        select(Instance.id).where(*_waiting(_PROJECT), Instance.assigned_to == _PERSON).exists(),
        _OPEN_LEASES.with_only_columns(Lease.id).order_by(None).exists(),
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
    languages, skips_return, has_own, holds = found
    return Reader(person_id, languages or (), bool(skips_return), has_own, holds)


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
        .where(
            Lease.instance_id == instance_id,
            Lease.stream == Stream.WORK,
            Person.id != person_id,
            Lease.expires_at > func.now(),
        )
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
        select(func.count(Instance.id.distinct()))
        .select_from(Lease)
        .join(Instance)
        .where(*waiting, Lease.person_id == person_id, Lease.expires_at > func.now())
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
    return and_(Lease.stream == Stream.WORK, Lease.expires_at > func.now())


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
        .where(
            Decision.person_id == person_id,
            Decision.stream == Stream.WORK,
            Decision.undone_at.is_(None),
            *mine,
            ~held_by(person_id),
        )
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
    """What the header of the card says. `remaining` stops counting at MOST_LEFT + 1.

    `recent`: the numbers of the decisions that can still be taken back, the newest first.
    """

    mine_today: int
    remaining: int
    recent: Sequence[int]


_MINE_TODAY = (
    select(func.count())
    .where(
        Decision.project_id == _PROJECT,
        Decision.person_id == _PERSON,
        Decision.stream == Stream.WORK,
        Decision.created_at >= func.date_trunc("day", func.now()),
        Decision.bulk_action_id.is_(None),
        Decision.undone_at.is_(None),
        Decision.action != Action.SKIP,
    )
    .scalar_subquery()
)
_SOME_WAITING = select(Instance.id).where(*_waiting(_PROJECT)).limit(MOST_LEFT + 1).subquery()
_PROGRESS = select(
    _MINE_TODAY,
    select(func.count()).select_from(_SOME_WAITING).scalar_subquery(),
    func.array(RECENT.scalar_subquery(), type_=ARRAY(BigInteger)),
)


def progress(session: Session, project_id: int, person_id: int) -> Progress:
    asked = {"project_id": project_id, "person_id": person_id, "depth": UNDO_DEPTH}
    return Progress(*session.execute(_PROGRESS, asked).one())

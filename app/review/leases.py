"""Who reads which instance of the work stream, and until when. Touches the lease table, by the database's clock alone.

A lease is a row with a token. Whoever decides shows the token; when another reader has taken the instance over,
the token is gone and the decision is refused, whatever the clocks say. The row of the instance is locked first
in every change but a renewal, so that two readers never hold it and never decide on it together; `holder` waits
for renewals.
"""

import secrets
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Interval, bindparam, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.errors import Conflict, NotFound
from app.pipeline import InstanceStatus, Stream
from app.review import decision_queries, queries, work_queue
from app.review.assignment import LEASE_MINUTES, WhyEmpty, why_empty
from app.review.blind import draw_in_hand
from app.review.filters import Filters
from app.review.judgement import PAST
from app.storage.locks import lock_cards
from app.storage.tables import Instance, Lease, Person, Project

_IN_WORK = Lease.stream == Stream.WORK


class Card(NamedTuple):
    """An instance in a reader's hands."""

    instance: Instance
    lease: Lease


def next_card(
    session: Session,
    project: Project,
    person: Person,
    *,
    prefetch: bool = False,
    beside: int | None = None,
    filters: Filters | None = None,
) -> Card | WhyEmpty:
    """What this person reads next: first what they hold already, then a new one of the queue.

    With `prefetch` it is what comes after the first that they hold, with `beside` what comes after this
    instance, whatever else they hold. What is held but does not fit `filters` goes back.
    """
    filters = filters or Filters()
    reader = work_queue.reader_of(session, project.id, person.id)
    held = _held(session, project.id, person.id, filters) if reader.holds else []
    if not held and beside is None:  # two tabs at once: the second is shown what the first is given
        lock_cards(session, person.id)
        held = _held(session, project.id, person.id, filters)
    if prefetch and beside is None and held:
        beside = held[0].instance.id
    for card in held:
        if card.instance.id == beside:
            continue
        lease = _renewed(session, person.id, card.instance.id, card.lease.token)
        if lease is not None:  # else it ran out just now, and another reader has it
            return Card(card.instance, lease)
    while (free := work_queue.lock_next(session, project.id, reader, filters)) is not None:
        # The lock was free, but since the query's snapshot another reader or another tab of this one may have
        # been given the instance, and have decided on it.
        met = decision_queries.met_on(session, free, person.id)
        held_by = holder(session, free.id) if met.a_lease else None
        if held_by is not None and held_by.person_id == person.id:
            return Card(free, held_by)
        if held_by is None and not met.own_reading:
            return Card(free, give_lease(session, free.id, person.id))
    return why_empty(work_queue.queue_of(session, project.id, reader, filters))


_READING_BLIND = "you are reading instance {} for an audit, blind: answer that first"


def demand_not_blind(session: Session, person_id: int, instance_id: int) -> None:
    """Raises Conflict: what the person holds for an audit is not shown to them in the work stream."""
    if draw_in_hand(session, person_id, instance_id) is not None:
        raise Conflict(_READING_BLIND.format(instance_id))


def take(session: Session, person: Person, instance_id: int) -> Card:
    """Hold this one instance. Raises Conflict where another person holds it or it is decided."""
    instance = locked(session, instance_id)
    demand_not_blind(session, person.id, instance_id)
    if instance.status != InstanceStatus.WAITING or decision_queries.reading_of(session, instance, person.id):
        raise Conflict(why_not(session, instance, person.id))
    mine = session.scalars(
        select(Lease).where(_IN_WORK, Lease.instance_id == instance_id, Lease.person_id == person.id)
    ).one_or_none()
    if mine is not None:
        return Card(instance, renew(session, person, instance_id, mine.token))
    if holder(session, instance_id) is not None:
        raise Conflict(why_not(session, instance, person.id))
    return Card(instance, give_lease(session, instance_id, person.id))


def keep_held(session: Session, project_id: int, person_id: int) -> None:
    """Whoever reads on keeps what is fetched ahead of them, too; what has run out is not brought back.

    Two tabs may do so at the same moment: both lock in one order, and before they renew the card on screen.
    """
    held = (
        select(Lease.id)
        .join(Instance, Instance.id == Lease.instance_id)
        .where(
            _IN_WORK,
            Lease.person_id == person_id,
            Lease.expires_at > func.now(),
            Instance.project_id == project_id,
        )
        .order_by(Lease.id)
        .with_for_update(of=Lease)
    )
    session.execute(
        update(Lease)
        .where(Lease.id.in_(held))
        .values(expires_at=lease_end())
        .execution_options(synchronize_session=False)
    )


def renew(session: Session, person: Person, instance_id: int, token: str) -> Lease:
    """Hold an instance for another ten minutes. Raises Conflict when it is no longer this person's."""
    lease = _renewed(session, person.id, instance_id, token)
    if lease is None:
        raise Conflict(why_not(session, queries.instance(session, instance_id), person.id))
    return lease


def _renewed(session: Session, person_id: int, instance_id: int, token: str) -> Lease | None:
    return session.scalars(
        update(Lease)
        .where(
            _IN_WORK,
            Lease.instance_id == instance_id,
            Lease.person_id == person_id,
            Lease.token == token,
        )
        .values(expires_at=lease_end())
        .returning(Lease)
        .execution_options(populate_existing=True)
    ).one_or_none()


def _held(session: Session, project_id: int, person_id: int, filters: Filters) -> list[Card]:
    held = [Card(*one) for one in work_queue.open_leases(session, project_id, person_id)]
    if not any(filters):
        return held
    fitting = [card for card in held if work_queue.fits(session, card.instance.id, filters)]
    for card in held:
        if card not in fitting:
            session.delete(card.lease)
    return fitting


_RUN_OUT = delete(Lease).where(
    _IN_WORK, Lease.instance_id == bindparam("instance_id"), Lease.expires_at <= func.now()
)
_ON_INSTANCE = (
    select(Lease)
    .where(_IN_WORK, Lease.instance_id == bindparam("instance_id"))
    .execution_options(populate_existing=True)
)


def holder(session: Session, instance_id: int) -> Lease | None:
    """The lease that stands on a locked instance. Those that ran out are removed, which comes first.

    The removal waits for a renewal that is under way. Looked at before it, such a lease would seem to be over;
    after it, it stands.
    """
    asked = {"instance_id": instance_id}
    session.execute(_RUN_OUT, asked, execution_options={"synchronize_session": False})
    return session.scalars(_ON_INSTANCE, asked).first()


def lease_end() -> ColumnElement[object]:
    return func.now() + _interval(minutes=LEASE_MINUTES)


def _interval(**parts: int) -> ColumnElement[timedelta]:
    return literal(timedelta(**parts), Interval)


_GIVE = insert(Lease).values(stream=Stream.WORK, expires_at=lease_end()).returning(Lease)


def give_lease(session: Session, instance_id: int, person_id: int, *, first: bool = False) -> Lease:
    """A new lease on a locked instance without a `holder`. With `first` it goes before all held already."""
    asked = {"instance_id": instance_id, "person_id": person_id, "token": secrets.token_urlsafe(24)}
    lease = session.scalars(_GIVE, [asked]).one()
    if first:
        earliest = (
            select(func.min(Lease.leased_at)).where(_IN_WORK, Lease.person_id == person_id).scalar_subquery()
        )
        lease.leased_at = earliest - _interval(seconds=1)
        session.flush()
    return lease


def locked(session: Session, instance_id: int, project_id: int | None = None) -> Instance:
    """Raises NotFound, with a project also for an instance of another one."""
    instance = session.get(Instance, instance_id, with_for_update=True, populate_existing=True)
    if instance is None or project_id not in (None, instance.project_id):
        raise NotFound(f"there is no instance {instance_id}")
    return instance


def why_not(session: Session, instance: Instance, person_id: int) -> str:
    """Why this person cannot go on with the instance, and whose it is now."""
    if draw_in_hand(session, person_id, instance.id) is not None:
        return _READING_BLIND.format(instance.id)
    return _whose(session, instance, person_id)


def _whose(session: Session, instance: Instance, person_id: int) -> str:
    number = f"instance {instance.id}"
    if instance.status == InstanceStatus.DISPUTED:
        return f"{number} has been read by enough people and waits for an adjudicator"
    if instance.status == InstanceStatus.WAITING:
        mine = decision_queries.reading_of(session, instance, person_id)
        if mine is not None:
            return f"you have {PAST[mine.action]} {number} already, and it waits for another reader"
        other = work_queue.lease_of_another(session, instance.id, person_id)
        if other is not None:
            return f"{number} is with {other[0]} until {other[1]:%H:%M} UTC"
        return f"you do not hold {number} any more, and nobody else does: take it again"
    decided = decision_queries.deciding(session, instance.id)
    if decided is None:
        return f"{number} is {instance.status}, so there is nothing to decide"
    decision, name = decided
    done = PAST[decision.action]
    return f"{number} is already decided: {name} {done} it at {decision.created_at:%H:%M} UTC"


def stream_of(session: Session, person: Person, instance_id: int, token: str) -> Stream | None:
    """Of which stream the lease is that the person shows; None if there is no such lease any more."""
    query = select(Lease.stream).where(
        Lease.instance_id == instance_id, Lease.person_id == person.id, Lease.token == token
    )
    found = session.scalar(query)
    return None if found is None else Stream(found)


def demand_lease(session: Session, instance: Instance, person: Person, token: str) -> Lease:
    """The lease that a reader shows, on a locked instance.

    One that ran out is still good while its row stands: nobody else has asked for the instance since.
    Raises Conflict, which says whose the instance is now.
    """
    query = select(Lease).where(
        _IN_WORK, Lease.instance_id == instance.id, Lease.person_id == person.id, Lease.token == token
    )
    lease = session.scalars(query).one_or_none()
    if lease is None or instance.status != InstanceStatus.WAITING:
        raise Conflict(why_not(session, instance, person.id))
    return lease

"""Work items: added once, claimed with `SKIP LOCKED`, leased, fenced by their epoch. Database time only.

Locks are taken in one order everywhere (calls, items, counts, runs) and bulk repairs skip what is locked, so that
no two of these transactions can wait for each other.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CursorResult,
    Text,
    column,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
    values,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session, aliased

from app.engine.shares import Contender, fair_shares
from app.errors import DomainError
from app.pipeline import OPEN_ITEMS, WEIGHT_OF_PRIORITY, ItemState, Priority, RunState, Stage
from app.queue import doorbell_for, enqueue_after_commit
from app.storage.tables import Run, WorkItem

LEASE = timedelta(seconds=30)

_GOING = (RunState.QUEUED, RunState.RUNNING)


class LeaseLost(DomainError):
    """Somebody else has the item now, or it was cancelled: whatever this worker did for it does not count."""


def add_items(
    session: Session,
    run: Run,
    stage: Stage,
    source_ids: Sequence[int],
    lanes: Sequence[str] | None = None,
) -> None:
    """Add one item per source and ring after the commit. Known items stay as they are (I3).

    With `lanes`, one per source, the items are parked until their lane's goal asks for them.
    """
    named = lanes if lanes is not None else [None] * len(source_ids)
    sources = func.unnest(
        literal(list(source_ids), postgresql.ARRAY(BigInteger)), literal(list(named), postgresql.ARRAY(Text))
    ).table_valued("source_id", "lane", with_ordinality="place")
    sources = sources.render_derived()
    state = ItemState.PENDING if lanes is None else ItemState.PARKED
    rows = select(
        literal(run.id), literal(str(stage)), literal(str(state)), sources.c.source_id, sources.c.lane
    ).order_by(sources.c.place)
    statement = postgresql.insert(WorkItem).from_select(
        ["run_id", "stage", "state", "source_id", "lane"], rows
    )
    session.execute(statement.on_conflict_do_nothing())
    enqueue_after_commit(session, doorbell_for(stage))


# --- claiming ---------------------------------------------------------------------------------------------


def claim(session: Session, stages: Collection[Stage], limit: int, owner: str) -> list[WorkItem]:
    """Lease up to `limit` due items of runs that are not held, and charge each an attempt.

    Runs share the room by priority and by what they have in flight already, so that none starves another; what
    one does not need goes to the rest.
    """
    claimed: list[WorkItem] = []
    contenders = _contenders(session, stages) if limit > 0 else []
    while contenders and len(claimed) < limit:
        shares = fair_shares(limit - len(claimed), contenders)
        got = _claim_of_runs(session, stages, shares, owner)
        claimed += got
        per_run = Counter(item.run_id for item in got)
        contenders = [
            one._replace(in_flight=one.in_flight + per_run[one.run_id])
            for one in contenders
            if 0 < shares.get(one.run_id, 0) == per_run[one.run_id]
        ]
    return claimed


def _contenders(session: Session, stages: Collection[Stage]) -> list[Contender]:
    pending, leased = aliased(WorkItem), aliased(WorkItem)
    due = (
        select(pending.id)
        .where(
            pending.run_id == Run.id,
            pending.stage.in_(stages),
            in_state(ItemState.PENDING, pending),
            pending.next_attempt_at <= func.now(),
        )
        .exists()
    )
    in_flight = (
        select(func.count())
        .where(leased.run_id == Run.id, in_state(ItemState.LEASED, leased))
        .scalar_subquery()
    )
    rows = session.execute(select(Run.id, Run.priority, in_flight).where(Run.state.in_(_GOING), due))
    return [
        Contender(run_id, WEIGHT_OF_PRIORITY[Priority(priority)], flying) for run_id, priority, flying in rows
    ]


def _claim_of_runs(
    session: Session, stages: Collection[Stage], shares: Mapping[int, int], owner: str
) -> Sequence[WorkItem]:
    share = values(column("run_id", BigInteger), column("places", BigInteger), name="share").data(
        list(shares.items())
    )
    mine = aliased(WorkItem)
    # What was begun is finished first, and can reach a person: `discriminate` sorts before `generate`, and what is
    # tried again is older than what was never tried.
    of_run = (
        select(mine.id)
        .where(
            mine.run_id == share.c.run_id,
            mine.stage.in_(stages),
            in_state(ItemState.PENDING, mine),
            mine.next_attempt_at <= func.now(),
        )
        .order_by(mine.stage, mine.id)
        .limit(share.c.places)
        .with_for_update(skip_locked=True)
        .correlate(share)
        .lateral("of_run")
    )
    due = select(of_run.c.id).select_from(share).join(of_run, literal(True)).cte("due")
    statement = (
        update(WorkItem)
        .where(WorkItem.id == due.c.id)
        .values(
            state=ItemState.LEASED,
            attempts=WorkItem.attempts + 1,
            lease_owner=owner,
            lease_expires_at=func.now() + LEASE,
            lease_epoch=WorkItem.lease_epoch + 1,
        )
        .returning(WorkItem)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return session.scalars(statement).all()


def seconds_until_due(session: Session, stages: Collection[Stage]) -> float | None:
    """Until the next waiting item of a run that is not held is due; None when nothing waits."""
    soonest = select(func.min(WorkItem.next_attempt_at)).where(
        WorkItem.run_id == Run.id, WorkItem.stage.in_(stages), in_state(ItemState.PENDING)
    )
    left = func.extract("epoch", func.min(soonest.scalar_subquery()) - func.clock_timestamp())
    seconds = cast(Decimal | None, session.scalars(select(left).where(Run.state.in_(_GOING))).one())
    return None if seconds is None else float(seconds)


def in_state(state: ItemState, item: type[WorkItem] = WorkItem) -> ColumnElement[bool]:
    """`item` is in `state`, which stands in the statement itself.

    The small indexes of open items hold for one state each: a plan for any state, which Postgres makes after a few
    times, would read every item there ever was.
    """
    return item.state == literal(state, literal_execute=True)


def has_open_item() -> ColumnElement[bool]:
    """Of the enclosing query's `Run`. Asked state by state: each has a small index of its own."""
    return or_(*(exists().where(WorkItem.run_id == Run.id, in_state(state)) for state in OPEN_ITEMS))


def renew(session: Session, held: Sequence[WorkItem]) -> set[int]:
    """Prolong the leases of `held`; the ids that come back are still ours."""
    if not held:
        return set()
    statement = (
        update(WorkItem)
        .where(
            tuple_(WorkItem.id, WorkItem.lease_epoch).in_([(item.id, item.lease_epoch) for item in held]),
            WorkItem.state == ItemState.LEASED,
        )
        .values(lease_expires_at=func.now() + LEASE)
        .returning(WorkItem.id)
        .execution_options(synchronize_session=False)
    )
    return set(session.scalars(statement))


def lock_held(session: Session, items: Sequence[WorkItem]) -> set[int]:
    """The ids of `items` that are still ours, locked: nobody can take them before this transaction ends.

    What belongs to a cancelled run is nobody's.
    """
    statement = (
        select(WorkItem.id)
        .join(Run, Run.id == WorkItem.run_id)
        .where(
            tuple_(WorkItem.id, WorkItem.lease_epoch).in_([(item.id, item.lease_epoch) for item in items]),
            WorkItem.state == ItemState.LEASED,
            Run.state != RunState.CANCELLED,
        )
        .order_by(WorkItem.id)
        .with_for_update(of=WorkItem, key_share=True)
    )
    return set(session.scalars(statement)) if items else set()


# --- repairing --------------------------------------------------------------------------------------------


def release_expired(session: Session) -> int:
    """Return items whose holder was silent for a whole lease."""
    leased = aliased(WorkItem)
    silent = (
        select(leased.id)
        .where(
            in_state(ItemState.LEASED, leased),
            leased.lease_expires_at < func.now(),
        )
        .with_for_update(skip_locked=True)
    )
    result = session.execute(
        update(WorkItem)
        .where(WorkItem.id.in_(silent))
        .values(state=ItemState.PENDING, lease_owner=None, lease_expires_at=None, next_attempt_at=func.now())
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount

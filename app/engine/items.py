"""Work items: added once, claimed with `SKIP LOCKED`, leased, fenced by their epoch. Database time only.

Locks are taken in one order everywhere (calls, items, counts, runs) and bulk repairs skip what is locked, so that
no two of these transactions can wait for each other.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    CursorResult,
    ScalarSelect,
    Text,
    and_,
    case,
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

from app.engine.roles import ModelRole, model_of, stages_of
from app.engine.shares import Contender, fair_shares
from app.engine.waiting import LONGEST_WAIT_S
from app.errors import DomainError
from app.pipeline import (
    MODEL_STAGES,
    OPEN_ITEMS,
    WEIGHT_OF_PRIORITY,
    ItemState,
    Priority,
    RunState,
    Stage,
)
from app.queue import doorbell_for, enqueue_after_commit
from app.storage.tables import Run, WorkItem

LEASE = timedelta(seconds=30)
SUSPECT_FROM = 2
"""Holders that died while they had an item; from so many on it is worked on alone."""

_FARTHEST = timedelta(seconds=LONGEST_WAIT_S + 60)
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


class _Lane(NamedTuple):
    """What a run has to do for one model."""

    model: str
    stages: tuple[Stage, ...]
    contender: Contender


def claim(
    session: Session, stages: Collection[Stage], limit: int, owner: str, among: Collection[int] | None = None
) -> list[WorkItem]:
    """Lease up to `limit` due items of runs that are not held, and charge each an attempt.

    Runs share the room by priority and by what they have in flight already, so that none starves another; what
    one does not need goes to the rest. `among`: only of these runs.
    """
    lanes = [
        _Lane("", tuple(stages), contender)
        for contender in _contenders(session, stages)
        if among is None or contender.run_id in among
    ]
    return _claim_of_lanes(session, lanes, limit, owner)


def claim_by_model(
    session: Session, room: Callable[[str], int], owner: str, besides: Collection[int] = ()
) -> dict[str, list[WorkItem]]:
    """Lease due items that ask models, up to `room(model)` of each: model -> items; see `claim`.

    A model that is slow or away keeps its own places, and nobody else's. `besides`: of these runs nothing.
    """
    claimed: dict[str, list[WorkItem]] = {}
    lanes = sorted(_lanes_by_model(session, besides), key=_model_of_lane)
    for model, of_model in groupby(lanes, key=_model_of_lane):
        if (limit := room(model)) > 0:
            claimed[model] = _claim_of_lanes(session, list(of_model), limit, owner)
    return claimed


def claim_suspect(session: Session, owner: str, besides: Collection[int] = ()) -> list[WorkItem]:
    """Lease one item whose holder has died more than once, unless this owner has one already.

    They are worked on one at a time: who dies again is then known, and nobody else is suspected with it.
    """
    mine, held = aliased(WorkItem), aliased(WorkItem)
    has_one = exists().where(
        held.losses >= SUSPECT_FROM, in_state(ItemState.LEASED, held), held.lease_owner == owner
    )
    suspect = (
        select(mine.id)
        .join(Run, Run.id == mine.run_id)
        .where(
            mine.losses >= SUSPECT_FROM,
            in_state(ItemState.PENDING, mine),
            mine.stage.in_(MODEL_STAGES),
            is_due(mine),
            Run.state.in_(_GOING),
            Run.id.not_in(besides),
            ~has_one,
        )
        .order_by(mine.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=mine)
    )
    return _lease(session, suspect.cte("due"), owner)


def _claim_of_lanes(session: Session, lanes: Sequence[_Lane], limit: int, owner: str) -> list[WorkItem]:
    claimed: list[WorkItem] = []
    while lanes and len(claimed) < limit:
        shares = fair_shares(limit - len(claimed), [lane.contender for lane in lanes])
        got: list[WorkItem] = []
        for stages, of_stages in groupby(sorted(lanes, key=_stages_of_lane), key=_stages_of_lane):
            asked = {lane.contender.run_id for lane in of_stages} & shares.keys()
            if asked:
                got += _claim_of_runs(session, stages, {run: shares[run] for run in sorted(asked)}, owner)
        claimed += got
        per_run = Counter(item.run_id for item in got)
        lanes = [
            lane._replace(contender=_with_more(lane.contender, per_run[lane.contender.run_id]))
            for lane in lanes
            if 0 < shares.get(lane.contender.run_id, 0) == per_run[lane.contender.run_id]
        ]
    return claimed


def _with_more(contender: Contender, taken: int) -> Contender:
    return contender._replace(in_flight=contender.in_flight + taken)


def _model_of_lane(lane: _Lane) -> str:
    return lane.model


def _stages_of_lane(lane: _Lane) -> tuple[Stage, ...]:
    return lane.stages


def _contenders(session: Session, stages: Collection[Stage]) -> list[Contender]:
    rows = session.execute(
        select(Run.id, Run.priority, _in_flight(stages)).where(Run.state.in_(_GOING), _has_due(stages))
    )
    return [
        Contender(run_id, WEIGHT_OF_PRIORITY[Priority(priority)], flying) for run_id, priority, flying in rows
    ]


def _lanes_by_model(session: Session, besides: Collection[int]) -> Iterator[_Lane]:
    """What each run has to do, by the model that it asks."""
    of_roles = [stages_of(role) for role in ModelRole]
    has_due = [_has_due(stages) for stages in of_roles]
    going = session.execute(
        select(Run.id, Run.priority, Run.params, *has_due, *map(_in_flight, of_roles)).where(
            Run.state.in_(_GOING), Run.id.not_in(besides), or_(*has_due)
        )
    )
    for row in going:
        run: tuple[Any, ...] = tuple(row)
        run_id, priority, params = run[:3]
        parts = list(zip(of_roles, run[3 : 3 + len(of_roles)], run[3 + len(of_roles) :], strict=True))
        for model in sorted({model_of(stages[0], params) for stages in of_roles}):
            mine = [part for part in parts if model_of(part[0][0], params) == model]
            if any(has_some for _, has_some, _ in mine):
                stages = tuple(stage for of_role, *_ in mine for stage in of_role)
                weight = WEIGHT_OF_PRIORITY[Priority(priority)]
                flying = sum(in_flight for *_, in_flight in mine)
                yield _Lane(model, stages, Contender(run_id, weight, flying))


def _has_due(stages: Collection[Stage]) -> ColumnElement[bool]:
    """Of the enclosing query's `Run`."""
    pending = aliased(WorkItem)
    return (
        select(pending.id)
        .where(
            pending.run_id == Run.id,
            pending.stage.in_(stages),
            in_state(ItemState.PENDING, pending),
            is_due(pending),
        )
        .exists()
    )


def _in_flight(stages: Collection[Stage]) -> ScalarSelect[int]:
    """Of the enclosing query's `Run`."""
    leased = aliased(WorkItem)
    of_run = select(func.count()).where(
        leased.run_id == Run.id, in_state(ItemState.LEASED, leased), leased.stage.in_(stages)
    )
    return of_run.scalar_subquery()


def is_due(item: type[WorkItem] = WorkItem) -> ColumnElement[bool]:
    """Its time has come, or is further off than this program puts anything: an earlier one took a provider's word
    for it, and the item would wait until 2083."""
    return or_(item.next_attempt_at <= func.now(), item.next_attempt_at > func.now() + _FARTHEST)


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
            is_due(mine),
            or_(mine.losses < SUSPECT_FROM, mine.stage.not_in(MODEL_STAGES)),
        )
        .order_by(mine.stage, mine.id)
        .limit(share.c.places)
        .with_for_update(skip_locked=True)
        .correlate(share)
        .lateral("of_run")
    )
    return _lease(
        session, select(of_run.c.id).select_from(share).join(of_run, literal(True)).cte("due"), owner
    )


def _lease(session: Session, due: CTE, owner: str) -> list[WorkItem]:
    statement = (
        update(WorkItem)
        .where(WorkItem.id == due.c.id)
        .values(
            state=ItemState.LEASED,
            attempts=WorkItem.attempts + 1,
            next_attempt_at=func.now(),
            lease_owner=owner,
            lease_expires_at=func.now() + LEASE,
            lease_epoch=WorkItem.lease_epoch + 1,
        )
        .returning(WorkItem)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return list(session.scalars(statement))


def seconds_until_due(session: Session, stages: Collection[Stage]) -> float | None:
    """Until the next waiting item of a run that is not held is due; None when nothing waits."""
    moment = case((is_due(), func.now()), else_=WorkItem.next_attempt_at)
    soonest = select(func.min(moment)).where(
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
    """Prolong the leases of `held`; the ids that come back are still ours.

    What somebody has locked at the moment stays ours without being prolonged: nobody can take it meanwhile, and one
    row that is held must not cost all the others their leases.
    """
    if not held:
        return set()
    ours = select(WorkItem.id).where(_is_ours(held))
    free = ours.with_for_update(skip_locked=True, key_share=True)
    statement = (
        update(WorkItem)
        .where(WorkItem.id.in_(free))
        .values(lease_expires_at=func.now() + LEASE)
        .returning(WorkItem.id)
        .execution_options(synchronize_session=False)
    )
    prolonged = set(session.scalars(statement))
    return prolonged if len(prolonged) == len(held) else prolonged | set(session.scalars(ours))


class Ours(NamedTuple):
    """Which items are still ours: locked by this transaction, and those that somebody else has locked."""

    locked: set[int]
    busy: set[int]


def lock_held(session: Session, items: Sequence[WorkItem]) -> Ours:
    """Lock those of `items` that are still ours: nobody can take them before this transaction ends.

    What belongs to a cancelled run is nobody's.
    """
    if not items:
        return Ours(set(), set())
    ours = (
        select(WorkItem.id)
        .join(Run, Run.id == WorkItem.run_id)
        .where(_is_ours(items), Run.state != RunState.CANCELLED)
        .order_by(WorkItem.id)
    )
    locked = set(session.scalars(ours.with_for_update(of=WorkItem, key_share=True, skip_locked=True)))
    busy = set(session.scalars(ours)) - locked if len(locked) < len(items) else set[int]()
    return Ours(locked, busy)


def _is_ours(items: Sequence[WorkItem]) -> ColumnElement[bool]:
    held = [(item.id, item.lease_epoch) for item in items]
    return and_(tuple_(WorkItem.id, WorkItem.lease_epoch).in_(held), WorkItem.state == ItemState.LEASED)


# --- repairing --------------------------------------------------------------------------------------------


def release_expired(session: Session) -> int:
    """Return items whose holder was silent for a whole lease, and count that it was. See `losses`."""
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
        .values(
            state=ItemState.PENDING,
            lease_owner=None,
            lease_expires_at=None,
            next_attempt_at=func.now(),
            losses=WorkItem.losses + 1,
        )
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount

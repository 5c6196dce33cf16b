"""How items end or are put back, in groups and counted. Fenced by their epoch, database time only.

Locks are taken in one order everywhere; see `items`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, Boolean, Float, Text, case, func, literal, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session, aliased

from app.engine.handlers import Ending
from app.engine.waiting import bounded
from app.pipeline import OPEN_ITEMS, InstanceStatus, ItemState, Outcome, Stage
from app.prompting.storable import storable
from app.storage.tables import Goal, Instance, RunCount, WorkItem

_LONGEST_CODE = 100
_LONGEST_DETAIL = 2000


class Closing(NamedTuple):
    """What becomes of a held item. `refund` gives back the attempt its claim charged: a wait is not a try.

    `lost`: its holder fell silent; see `losses`.
    """

    item: WorkItem
    state: ItemState
    outcome: Outcome | None = None
    next_stage: Stage | None = None
    why: tuple[str, str] | None = None  # (code, detail) of what stopped it
    seconds: float = 0.0  # until it is due again
    refund: bool = False
    bad_reply: bool = False
    lost: bool = False


def finish(item: WorkItem, ending: Ending, why: tuple[str, str] | None = None) -> Closing:
    """Done: with an outcome, or handed on."""
    state = ItemState.FAILED if ending.outcome is Outcome.ERROR else ItemState.SUCCEEDED
    return Closing(item, state, ending.outcome, ending.next_stage, why)


def fail(item: WorkItem, code: str, detail: str) -> Closing:
    """An error that a person can look at and retry."""
    return Closing(item, ItemState.FAILED, Outcome.ERROR, why=(code, detail))


def put_back(
    item: WorkItem,
    *,
    seconds: float = 0,
    refund: bool = False,
    why: tuple[str, str] | None = None,
    bad_reply: bool = False,
) -> Closing:
    """Into the queue again, due after `seconds`. Without `why` it keeps what it says already."""
    return Closing(item, ItemState.PENDING, why=why, seconds=seconds, refund=refund, bad_reply=bad_reply)


def close(session: Session, closings: Sequence[Closing]) -> set[int]:
    """Let go of held items, count their outcomes and add what comes next.

    Returns the ids that were still ours; the others changed nothing (I2).
    """
    if not closings:
        return set()
    rows = [
        (
            one.item.id,
            one.item.lease_epoch,
            str(one.state),
            one.outcome and str(one.outcome),
            bounded(one.seconds),
            one.refund,
            one.bad_reply,
            one.lost,
            *_storable(one.why),
        )
        for one in closings
    ]
    kinds = (BigInteger, BigInteger, Text, Text, Float, Boolean, Boolean, Boolean, Text, Text)
    names = ("id", "epoch", "state", "outcome", "seconds", "refund", "bad_reply", "lost", "code", "detail")
    columns = [
        literal(list(values_of), postgresql.ARRAY(kind))
        for kind, values_of in zip(kinds, zip(*rows, strict=True), strict=True)
    ]
    one = func.unnest(*columns).table_valued(*names).render_derived()
    is_open = one.c.state == ItemState.PENDING
    statement = (
        update(WorkItem)
        .where(
            WorkItem.id == one.c.id,
            WorkItem.lease_epoch == one.c.epoch,
            WorkItem.state == ItemState.LEASED,
        )
        .values(
            state=one.c.state,
            outcome=one.c.outcome,
            lease_owner=None,
            lease_expires_at=None,
            reparse=False,
            attempts=WorkItem.attempts - case((one.c.refund, 1), else_=0),
            bad_replies=WorkItem.bad_replies + case((one.c.bad_reply, 1), else_=0),
            losses=WorkItem.losses + case((one.c.lost, 1), else_=0),
            next_attempt_at=case(
                (is_open, func.clock_timestamp() + one.c.seconds * text("interval '1 second'")),
                else_=WorkItem.next_attempt_at,
            ),
            error_code=func.coalesce(one.c.code, WorkItem.error_code),
            error_detail=func.coalesce(one.c.detail, WorkItem.error_detail),
            finished_at=case((is_open, None), else_=func.now()),
        )
        .returning(WorkItem.id)
        .execution_options(synchronize_session=False)
    )
    ours = set(session.scalars(statement))
    closed = [closing for closing in closings if closing.item.id in ours]
    following = [
        {
            "run_id": closing.item.run_id,
            "stage": closing.next_stage,
            "source_id": closing.item.source_id,
            "lane": closing.item.lane,
        }
        for closing in closed
        if closing.next_stage is not None
    ]
    if following:
        _add_following(session, following)
    add_counts(
        session,
        Counter((closing.item.run_id, str(closing.outcome)) for closing in closed if closing.outcome),
    )
    count_lanes(
        session,
        Counter(
            (closing.item.run_id, closing.item.lane, closing.outcome is Outcome.PASSED)
            for closing in closed
            if closing.outcome and closing.item.lane
        ),
    )
    return ours


def _storable(why: tuple[str, str] | None) -> tuple[str | None, str | None]:
    """The last net: what comes from outside was looked at where it came in."""
    return (
        (None, None) if why is None else (storable(why[0], _LONGEST_CODE), storable(why[1], _LONGEST_DETAIL))
    )


def _add_following(session: Session, rows: Sequence[Mapping[str, object]]) -> None:
    """The next stage's items. One that was done before is done again: what it was about has been read anew."""
    statement = postgresql.insert(WorkItem)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[WorkItem.run_id, WorkItem.stage, WorkItem.source_id],
            set_={"state": ItemState.PENDING, "next_attempt_at": func.now(), "finished_at": None},
            where=(WorkItem.state == ItemState.SKIPPED) & WorkItem.outcome.is_(None),
        ),
        rows,
    )


def end_open_items(
    session: Session, run_id: int, state: ItemState, outcome: Outcome, among: Iterable[ItemState] = OPEN_ITEMS
) -> int:
    """End the items of a run that are still open, and count them.

    A leased item loses its epoch, so that its holder can no longer finish it. One whose result is being written at
    this moment is left: the sweeper comes by again.
    """
    one = aliased(WorkItem)
    still_open = (
        select(one.id)
        .where(one.run_id == run_id, one.state.in_(list(among)))
        .with_for_update(skip_locked=True, key_share=True)
    )
    ended = session.execute(
        update(WorkItem)
        .where(WorkItem.id.in_(still_open))
        .values(
            state=state,
            outcome=outcome,
            lease_epoch=case(
                (WorkItem.state == ItemState.LEASED, WorkItem.lease_epoch + 1), else_=WorkItem.lease_epoch
            ),
            lease_owner=None,
            lease_expires_at=None,
            finished_at=func.now(),
        )
        .returning(WorkItem.stage, WorkItem.source_id)
        .execution_options(synchronize_session=False)
    ).all()
    add_counts(session, {(run_id, str(outcome)): len(ended)})
    _give_to_people(session, [source_id for stage, source_id in ended if stage == Stage.CORRECT])
    return len(ended)


def _give_to_people(session: Session, instance_ids: Sequence[int]) -> None:
    """What was to be corrected and is not has a text and a verdict: people read that."""
    if instance_ids:
        session.execute(
            update(Instance)
            .where(Instance.id.in_(instance_ids))
            .values(status=InstanceStatus.WAITING)
            .execution_options(synchronize_session=False)
        )


def add_counts(session: Session, counts: Mapping[tuple[int, str], int]) -> None:
    """Add rows to (run id, code), in the transaction that changes what they count (I5)."""
    rows = [
        {"run_id": run_id, "code": code, "rows": rows}
        for (run_id, code), rows in sorted(counts.items())
        if rows
    ]
    if not rows:
        return
    statement = postgresql.insert(RunCount).values(rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[RunCount.run_id, RunCount.code],
            set_={"rows": RunCount.rows + statement.excluded.rows},
        )
    )


def count_lanes(session: Session, counts: Mapping[tuple[int, str, bool], int]) -> None:
    """Add ended items to (run id, lane, whether they passed), in the transaction that ends them."""
    for (run_id, lane, passed), number in sorted(counts.items()):
        column = Goal.passed if passed else Goal.ended
        session.execute(
            update(Goal)
            .where(Goal.run_id == run_id, Goal.lane == lane)
            .values({column: column + number})
            .execution_options(synchronize_session=False)
        )

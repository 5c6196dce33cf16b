"""Work items: added once, claimed with `SKIP LOCKED`, leased, fenced by their epoch. Database time only."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlalchemy import BigInteger, CursorResult, case, func, insert, literal, select, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session, aliased

from app.engine.handlers import Ending
from app.errors import DomainError
from app.pipeline import ItemState, Outcome, RunState, Stage
from app.queue import doorbell_for, enqueue_after_commit
from app.storage.tables import Run, WorkItem

LEASE = timedelta(seconds=30)


class LeaseLost(DomainError):
    """Somebody else has the item now, or it was cancelled: whatever this worker did for it does not count."""


def add_items(session: Session, run: Run, stage: Stage, source_ids: Iterable[int]) -> None:
    """Add one item per source and ring after the commit. Known items stay as they are (I3)."""
    sources = func.unnest(literal(list(source_ids), postgresql.ARRAY(BigInteger)))
    rows = select(literal(run.id), literal(str(stage)), sources)
    statement = postgresql.insert(WorkItem).from_select(["run_id", "stage", "source_id"], rows)
    session.execute(statement.on_conflict_do_nothing())
    enqueue_after_commit(session, doorbell_for(stage))


def claim(session: Session, stage: Stage, limit: int, owner: str) -> Sequence[WorkItem]:
    """Lease up to `limit` items that are due and whose run is not held, the longest waiting first."""
    due = (
        select(WorkItem.id)
        .join(Run, Run.id == WorkItem.run_id)
        .where(
            WorkItem.state == ItemState.PENDING,
            WorkItem.stage == stage,
            WorkItem.next_attempt_at <= func.now(),
            Run.state.in_((RunState.QUEUED, RunState.RUNNING)),
        )
        .order_by(WorkItem.next_attempt_at, WorkItem.id)
        .limit(limit)
        .with_for_update(of=WorkItem, skip_locked=True)
        .cte("due")
    )
    statement = (
        update(WorkItem)
        .where(WorkItem.id == due.c.id)
        .values(
            state=ItemState.LEASED,
            lease_owner=owner,
            lease_expires_at=func.now() + LEASE,
            lease_epoch=WorkItem.lease_epoch + 1,
        )
        .returning(WorkItem)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return session.scalars(statement).all()


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


def finish(session: Session, item: WorkItem, ending: Ending) -> None:
    """Close an item with its outcome, or hand it on. Raises `LeaseLost` when it is no longer ours."""
    state = ItemState.FAILED if ending.outcome is Outcome.ERROR else ItemState.SUCCEEDED
    _close(session, item, state=state, outcome=ending.outcome, finished_at=func.now())
    if ending.next_stage is not None:
        session.execute(
            insert(WorkItem).values(run_id=item.run_id, stage=ending.next_stage, source_id=item.source_id)
        )


def put_back(
    session: Session,
    item: WorkItem,
    *,
    seconds: float = 0,
    refund: bool = False,
    why: tuple[str, str] | None = None,
) -> None:
    """Return an item to the queue, due again after `seconds`, with (code, detail) of what stopped it.

    `refund` gives back the attempt that was charged when its call was opened: a wait is not a try.
    """
    code, detail = why or (item.error_code, item.error_detail)
    _close(
        session,
        item,
        state=ItemState.PENDING,
        attempts=WorkItem.attempts - (1 if refund else 0),
        next_attempt_at=func.now() + timedelta(seconds=seconds),
        error_code=code,
        error_detail=detail,
    )


def fail(session: Session, item: WorkItem, code: str, detail: str) -> None:
    """Close an item as an error that a person can look at and retry."""
    _close(
        session,
        item,
        state=ItemState.FAILED,
        outcome=Outcome.ERROR,
        error_code=code,
        error_detail=detail,
        finished_at=func.now(),
    )


def _close(session: Session, item: WorkItem, **values: object) -> None:
    result = session.execute(
        update(WorkItem)
        .where(
            WorkItem.id == item.id,
            WorkItem.lease_epoch == item.lease_epoch,
            WorkItem.state == ItemState.LEASED,
        )
        .values(lease_owner=None, lease_expires_at=None, **values)
        .execution_options(synchronize_session=False)
    )
    if _rows(result) == 0:
        raise LeaseLost(f"item {item.id} is no longer held in epoch {item.lease_epoch}")


def release_expired(session: Session) -> int:
    """Return items whose holder was silent for a whole lease."""
    leased = aliased(WorkItem)
    silent = (
        select(leased.id)
        .where(leased.state == ItemState.LEASED, leased.lease_expires_at < func.now())
        .with_for_update(skip_locked=True)
    )
    result = session.execute(
        update(WorkItem)
        .where(WorkItem.id.in_(silent))
        .values(state=ItemState.PENDING, lease_owner=None, lease_expires_at=None, next_attempt_at=func.now())
        .execution_options(synchronize_session=False)
    )
    return _rows(result)


def cancel_items(session: Session, run_id: int) -> None:
    """Cancel what is open. A leased item loses its epoch, so that its holder can no longer finish it."""
    session.execute(
        update(WorkItem)
        .where(WorkItem.run_id == run_id, WorkItem.state.in_((ItemState.PENDING, ItemState.LEASED)))
        .values(
            state=ItemState.CANCELLED,
            outcome=Outcome.CANCELLED,
            lease_epoch=case(
                (WorkItem.state == ItemState.LEASED, WorkItem.lease_epoch + 1), else_=WorkItem.lease_epoch
            ),
            lease_owner=None,
            lease_expires_at=None,
            finished_at=func.now(),
        )
        .execution_options(synchronize_session=False)
    )


def _rows(result: object) -> int:
    assert isinstance(result, CursorResult)
    return result.rowcount

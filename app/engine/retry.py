"""Doing ended items of a generation run again after a fix: by reading the last reply again, or by asking anew."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from app.engine.closing import add_counts, count_lanes
from app.engine.runs import note, reopen_run
from app.errors import Conflict, InvalidInput
from app.pipeline import InstanceStatus, ItemState, Outcome
from app.storage.tables import Call, Decision, Instance, Lease, WorkItem

RETRYABLE = (Outcome.UNUSABLE, Outcome.ERROR, Outcome.INVALID_VERDICT)


def retry_items(
    session: Session, run_id: int, outcome: Outcome, *, reparse: bool, person_id: int | None = None
) -> int:
    """Put a run's items that ended with `outcome` back into the queue. Returns how many.

    `reparse` reads the last raw reply again and pays nothing; items without a reply stay as they are. Else they
    are asked anew, with all their tries. What a person has decided on, or is reading, is left alone. An ended run
    that only reads again asks no model until somebody resumes it.
    """
    if outcome not in RETRYABLE:
        raise InvalidInput(f"{outcome} cannot be retried, only {', '.join(RETRYABLE)}", "outcome")
    untouched = (
        ~select(Decision.id).where(Decision.instance_id == WorkItem.source_id).exists(),
        ~select(Lease.id)
        .where(Lease.instance_id == WorkItem.source_id, Lease.expires_at > func.now())
        .exists(),
    )
    ended = select(WorkItem.id).where(WorkItem.run_id == run_id, WorkItem.outcome == outcome, *untouched)
    if reparse:
        ended = ended.where(
            select(Call.id).where(Call.item_id == WorkItem.id, Call.state.in_(("done", "cached"))).exists()
        )
    locked = session.execute(
        ended.add_columns(WorkItem.source_id).order_by(WorkItem.id).with_for_update(key_share=True)
    ).all()
    await_readers(session, [source_id for _, source_id in locked])
    item_ids = session.scalars(ended.where(WorkItem.id.in_([item_id for item_id, _ in locked]))).all()
    if not item_ids:
        raise Conflict(f"no item of run {run_id} that ended as {outcome} can be retried this way")
    retried = session.execute(
        update(WorkItem)
        .where(WorkItem.id.in_(item_ids))
        .values(
            state=ItemState.PENDING,
            outcome=None,
            reparse=reparse,
            attempts=0,
            bad_replies=0,
            losses=0,
            next_attempt_at=func.now(),
            finished_at=None,
        )
        .returning(WorkItem.source_id, WorkItem.lane)
        .execution_options(synchronize_session=False)
    ).all()
    take_from_people(session, [source_id for source_id, _ in retried])
    add_counts(session, {(run_id, str(outcome)): -len(retried)})
    lanes = Counter((run_id, lane, False) for _, lane in retried if lane is not None)
    count_lanes(session, {lane: -number for lane, number in lanes.items()})
    reopen_run(session, run_id, may_ask=not reparse)
    how = "read again" if reparse else "asked again"
    note(session, run_id, "retried", f"{len(retried)} {outcome}, {how}", person_id)
    return len(retried)


def await_readers(session: Session, instance_ids: Sequence[int]) -> None:
    """Lock instances. Whoever was deciding on one has done so, and the next question sees it; their items come first."""
    some = select(Instance.id).where(Instance.id.in_(instance_ids)).order_by(Instance.id)
    session.execute(some.with_for_update())


def take_from_people(session: Session, instance_ids: Sequence[int]) -> None:
    """Until they are judged again nobody is handed these instances."""
    session.execute(delete(Lease).where(Lease.instance_id.in_(instance_ids)))
    session.execute(
        update(Instance)
        .where(Instance.id.in_(instance_ids))
        .values(status=InstanceStatus.GENERATING, unusable_reason=None)
        .execution_options(synchronize_session=False)
    )

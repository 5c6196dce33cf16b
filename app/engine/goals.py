"""Stop conditions: generate until enough of a lane pass, with no more attempts than were planned for it.

All attempts of a run are planned at its start and parked; as many are let go as may still be missing, so that a
lane never asks for more than it needs, and what is left when the goal is reached ends as `skipped`.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, aliased

from app.engine.items import add_counts
from app.pipeline import ItemState, Outcome, Stage
from app.queue import doorbell_for, enqueue_after_commit
from app.storage.tables import Goal, WorkItem


class Lane(NamedTuple):
    """A task in a language, in items of one run: passed + otherwise ended + active + parked = planned."""

    lane: str
    wanted: int
    passed: int
    ended: int  # in any other way
    active: int  # pending or in flight
    parked: int

    @property
    def missing(self) -> int:
        """How many attempts to let go now: what would be short if all the active ones passed."""
        return min(self.parked, max(0, self.wanted - self.passed - self.active))


def add_goals(session: Session, run_id: int, wanted: Mapping[str, int]) -> None:
    """`wanted`: passes by lane."""
    session.add_all(Goal(run_id=run_id, lane=lane, wanted=passes) for lane, passes in wanted.items())
    session.flush()


def lanes_of(session: Session, run_id: int) -> list[Lane]:
    """Where each lane of a run stands; none where the run has no goals."""
    passed = WorkItem.outcome == Outcome.PASSED
    parked = WorkItem.state == ItemState.PARKED
    active = WorkItem.state.in_((ItemState.PENDING, ItemState.LEASED))
    count = func.count
    rows = session.execute(
        select(
            Goal.lane,
            Goal.wanted,
            count().filter(passed),
            count().filter(WorkItem.outcome.is_not(None), ~passed),
            count().filter(active),
            count().filter(parked),
        )
        .outerjoin(WorkItem, (WorkItem.run_id == Goal.run_id) & (WorkItem.lane == Goal.lane))
        .where(Goal.run_id == run_id)
        .group_by(Goal.lane, Goal.wanted)
        .order_by(Goal.lane)
    )
    return [Lane(*row) for row in rows]


def steer(session: Session, run_ids: Collection[int]) -> None:
    """Let go what lanes of these runs still miss, and skip the rest of those that have reached their goal."""
    with_goals = select(Goal.run_id).where(Goal.run_id.in_(run_ids)).distinct()
    for run_id in session.scalars(with_goals).all() if run_ids else ():
        # Two workers must not both let go what is missing once.
        session.execute(select(Goal.lane).where(Goal.run_id == run_id).order_by(Goal.lane).with_for_update())
        for lane in lanes_of(session, run_id):
            if lane.missing:
                _move_parked(session, run_id, lane.lane, ItemState.PENDING, lane.missing)
                enqueue_after_commit(session, doorbell_for(Stage.GENERATE))
            elif lane.parked and lane.passed >= lane.wanted:
                skipped = _move_parked(session, run_id, lane.lane, ItemState.SKIPPED, lane.parked)
                add_counts(session, {(run_id, str(Outcome.SKIPPED)): skipped})


def _move_parked(session: Session, run_id: int, lane: str, state: ItemState, limit: int) -> int:
    one = aliased(WorkItem)
    parked = (
        select(one.id)
        .where(one.run_id == run_id, one.lane == lane, one.state == ItemState.PARKED)
        .order_by(one.id)
        .limit(limit)
        .with_for_update(key_share=True)
    )
    is_over = state == ItemState.SKIPPED
    return len(
        session.scalars(
            update(WorkItem)
            .where(WorkItem.id.in_(parked))
            .values(
                state=state,
                outcome=Outcome.SKIPPED if is_over else None,
                next_attempt_at=func.now(),
                finished_at=func.now() if is_over else None,
            )
            .returning(WorkItem.id)
            .execution_options(synchronize_session=False)
        ).all()
    )

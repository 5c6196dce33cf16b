"""Stop conditions: generate until enough of a lane pass, with no more attempts than were planned for it.

All attempts of a run are planned at its start and parked; as many are let go as may still be missing, so that a
lane never asks for more than it needs, and what is left when the goal is reached ends as `skipped`.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, aliased

from app.engine.closing import add_counts
from app.pipeline import ItemState, Outcome, Stage
from app.queue import doorbell_for, enqueue_after_commit
from app.storage.tables import Goal, WorkItem


class Lane(NamedTuple):
    """A task in a language, in attempts of one run: passed + otherwise ended + active + parked = planned."""

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
    """`wanted`: passes by lane. The items of the lanes are there, parked."""
    planned = dict(
        session.execute(
            select(WorkItem.lane, func.count())
            .where(WorkItem.run_id == run_id, WorkItem.state == ItemState.PARKED)
            .group_by(WorkItem.lane)
        ).all()
    )
    session.add_all(
        Goal(run_id=run_id, lane=lane, wanted=passes, planned=planned.get(lane, 0))
        for lane, passes in wanted.items()
    )
    session.flush()


def lanes_of(session: Session, run_id: int) -> list[Lane]:
    """Where each lane of a run stands; none where the run has no goals."""
    goals = session.scalars(
        select(Goal)
        .where(Goal.run_id == run_id)
        .order_by(Goal.lane)
        .execution_options(populate_existing=True)
    )
    return [_lane(goal) for goal in goals]


def steer(session: Session, run_ids: Collection[int]) -> None:
    """Let go what lanes of these runs still miss, and skip the rest of those that have reached their goal.

    Two workers must not both let go what is missing once, so the goals are locked.
    """
    if not run_ids:
        return
    goals = session.scalars(
        select(Goal)
        .where(Goal.run_id.in_(run_ids))
        .order_by(Goal.run_id, Goal.lane)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    for goal in goals:
        lane = _lane(goal)
        if lane.missing:
            goal.let_go += _move_parked(session, goal, ItemState.PENDING, lane.missing)
            enqueue_after_commit(session, doorbell_for(Stage.GENERATE))
        elif lane.parked and lane.passed >= lane.wanted:
            skipped = _move_parked(session, goal, ItemState.SKIPPED, lane.parked)
            goal.let_go += skipped
            goal.ended += skipped
            add_counts(session, {(goal.run_id, str(Outcome.SKIPPED)): skipped})
    session.flush()


def cancel_goals(session: Session, run_id: int) -> None:
    """Nothing of a cancelled run is active or parked any more."""
    session.execute(
        update(Goal)
        .where(Goal.run_id == run_id)
        .values(let_go=Goal.planned, ended=Goal.planned - Goal.passed)
        .execution_options(synchronize_session=False)
    )


def _lane(goal: Goal) -> Lane:
    active = goal.let_go - goal.passed - goal.ended
    return Lane(goal.lane, goal.wanted, goal.passed, goal.ended, active, goal.planned - goal.let_go)


def _move_parked(session: Session, goal: Goal, state: ItemState, limit: int) -> int:
    one = aliased(WorkItem)
    # Materialised: as a plain subquery Postgres may run it once more for each row, and exceed the limit.
    parked = (
        select(one.id)
        .where(one.run_id == goal.run_id, one.lane == goal.lane, one.state == ItemState.PARKED)
        .order_by(one.id)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=True)
        .cte("parked")
        .prefix_with("MATERIALIZED")
    )
    is_over = state == ItemState.SKIPPED
    return len(
        session.scalars(
            update(WorkItem)
            .where(WorkItem.id == parked.c.id)
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

"""What becomes of work whose worker died: it is tried again, a few times, and then it is said so.

A holder that fell silent for a whole lease has died, or was frozen or cut off for as long. An item of a model is
tried with others at first, for nobody knows which of them it was; from the second loss on alone (see `items`).
"""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.engine.closing import close, fail, finish, put_back
from app.engine.handlers import Ending
from app.engine.items import in_state
from app.engine.runs import fail_run, note, tell
from app.pipeline import MODEL_STAGES, UNFINISHED_RUNS, ItemState, Stage
from app.storage.tables import Run, WorkItem

MOST_LOSSES = 3
AGAIN_AFTER_S = 1.0  # whatever took the memory may need a moment to end; twice that the next time
WORKER_DIED = "worker_died"

_DOING = {
    Stage.INGEST: "reading its source",
    Stage.IMPORT: "reading the set",
    Stage.SELECT: "choosing",
    Stage.RELEASE: "building the release",
}


def lost_items(session: Session) -> Sequence[WorkItem]:
    """Items whose holder was silent for a whole lease, that have to be ended or told of; locked."""
    is_told = WorkItem.stage.not_in(MODEL_STAGES) | (WorkItem.losses + 1 >= MOST_LOSSES)
    return session.scalars(
        select(WorkItem)
        .where(in_state(ItemState.LEASED), WorkItem.lease_expires_at < func.now(), is_told)
        .order_by(WorkItem.id)
        .with_for_update(skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    ).all()


def see_to_lost(session: Session, item: WorkItem) -> None:
    """Say in its run's log that its worker died, and end what has cost too many of them.

    What is left open here is released like everything whose holder is silent.
    """
    losses = item.losses + 1
    if item.stage in MODEL_STAGES:
        detail = f"its worker died {_times(losses)} while it was asked or its reply was recorded"
        close(session, [fail(item, WORKER_DIED, detail)._replace(lost=True)])
        note(session, item.run_id, "item given up", f"item {item.id}: {detail}")
    else:
        _see_to_job(session, item, f"its worker died {_times(losses)}")
    tell(session, [item.run_id])


def see_to_died(session: Session, item: WorkItem, how: str) -> None:
    """The same of a job whose own process died, and of which the worker that watched knows how."""
    if _see_to_job(session, item, f"its process died {_times(item.losses + 1)}, at last by {how},"):
        close(session, [put_back(item, seconds=AGAIN_AFTER_S * 2**item.losses)._replace(lost=True)])
    tell(session, [item.run_id])


def _see_to_job(session: Session, item: WorkItem, died: str) -> bool:
    """Say it, and end the job where it was the last time. Returns whether it is tried again."""
    detail = f"{died} while {_DOING.get(Stage(item.stage), item.stage)}"
    if item.losses + 1 < MOST_LOSSES:
        note(session, item.run_id, "worker lost", f"{detail}; it is tried again, {MOST_LOSSES} times in all")
        return True
    run = session.get_one(Run, item.run_id, with_for_update={"key_share": True}, populate_existing=True)
    if run.state in UNFINISHED_RUNS:
        fail_run(
            session, run, f"{detail}: it is not tried again. Look for a lack of memory, or a fault of ours"
        )
        note(session, run.id, "failed", detail)
    close(session, [finish(item, Ending())._replace(lost=True)])
    return False


def _times(number: int) -> str:
    return {1: "once", 2: "twice", 3: "three times"}.get(number, f"{number} times")

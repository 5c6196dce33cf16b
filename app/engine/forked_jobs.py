"""A job in a process of its own: whoever cancels or pauses it, or stops the worker, ends it in the middle of a step.

The worker stays outside, renews the lease and looks every second whether the job is still wanted. What the job's
process has not committed is lost with it, as after a crash; what kills it does not kill the worker.
"""

import signal
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import structlog
from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from app.engine.closing import Closing, close, finish, put_back
from app.engine.handlers import Ending
from app.engine.items import LEASE, LeaseLost, renew
from app.engine.process import Process
from app.engine.runs import fail_run
from app.forked import Forked
from app.pipeline import ItemState, RunState
from app.storage.tables import Run, WorkItem

_LOOK_S = 1.0
_GRACE_S = 5.0  # for the step in hand, before a paused job or one of a stopping worker is ended
MOST_DEATHS = 3  # tries of a job that ends its process

_log = structlog.get_logger()


def do_forked(
    do: Callable[[Process], None], sessions: sessionmaker[Session], item: WorkItem, process: Process
) -> None:
    """`do` the job of `item` in a process of its own and see to it until it has ended."""
    engine = sessions.kw["bind"]
    assert isinstance(engine, Engine)

    def work() -> None:
        engine.dispose(close=False)  # its connections are the worker's
        stopping = threading.Event()

        def stop(_number: int, _frame: object) -> None:
            stopping.set()

        signal.signal(signal.SIGTERM, stop)
        do(Process(process.owner, stopping.is_set))

    child = Forked(work)
    try:
        ending = _watch(child, sessions, item, process)
    finally:
        child.kill()
    _settle(ending, sessions, item)


class _Ended(NamedTuple):
    status: int | None = None  # as `Forked.wait` has it; None where it was killed here
    is_put_back: bool = False  # killed here, to go on later


def _watch(child: Forked, sessions: sessionmaker[Session], item: WorkItem, process: Process) -> _Ended:
    renewed_at, asked_at = time.monotonic(), None
    while (status := child.wait(_LOOK_S)) is None:
        now = time.monotonic()
        try:
            with sessions.begin() as session:
                state = _state_of(session, item)
                if state is None:
                    return _Ended()  # cancelled or somebody else's: nothing that it still does counts
                if now - renewed_at > LEASE.total_seconds() / 4:
                    renew(session, [item])
            if now - renewed_at > LEASE.total_seconds() / 4:
                process.keep_alive()
                renewed_at = now
        except OperationalError as error:  # the next look may find the database again
            _log.warning("lease_not_renewed", item_id=item.id, error=str(error))
            continue
        if asked_at is not None and now - asked_at > _GRACE_S:
            return _Ended(is_put_back=True)
        if asked_at is None and (state == RunState.PAUSED or process.is_stopping()):
            child.ask_to_stop()
            asked_at = now
    return _Ended(status)


def _state_of(session: Session, item: WorkItem) -> str | None:
    """The state of the run whose item we still hold."""
    held = (WorkItem.id == item.id, WorkItem.lease_epoch == item.lease_epoch)
    statement = select(Run.state).join(WorkItem, WorkItem.run_id == Run.id)
    return session.scalars(statement.where(*held, WorkItem.state == ItemState.LEASED)).one_or_none()


def _settle(ended: _Ended, sessions: sessionmaker[Session], item: WorkItem) -> None:
    """Let go of what the job's process could not. One that failed in order keeps its lease, as after a crash."""
    if ended.status is None and not ended.is_put_back:
        _log.info("job_ended_in_the_middle", run_id=item.run_id)
    elif ended.is_put_back:
        _put_back(sessions, put_back(item, refund=True))
    elif ended.status is not None and ended.status < 0:
        how = f"signal {-ended.status} ({signal.Signals(-ended.status).name})"
        _log.error("job_died", run_id=item.run_id, how=how, attempt=item.attempts)
        if item.attempts < MOST_DEATHS:
            _put_back(sessions, put_back(item, seconds=_wait_before(item.attempts + 1)))
            return
        with sessions() as session:
            why = f"its process was ended {item.attempts} times, at last by {how}; SIGKILL mostly means that memory ran out"
            end_in_failure(session, item, why)


def _wait_before(attempt: int) -> float:
    """Seconds: whatever took the memory may need a moment to end."""
    return 2.0 ** (attempt - 1)


def _put_back(sessions: sessionmaker[Session], closing: Closing) -> None:
    with sessions.begin() as session:
        close(session, [closing])


def end_in_failure(session: Session, item: WorkItem, why: str) -> None:
    """The run has failed; nothing changes where somebody else has its item now."""
    try:
        fail_run(session, session.get_one(Run, item.run_id), why)
        let_go(session, finish(item, Ending()))
        session.commit()
    except LeaseLost:
        session.rollback()


def let_go(session: Session, closing: Closing) -> None:
    """Close a held item. Raises LeaseLost where it is not ours any more."""
    if not close(session, [closing]):
        raise LeaseLost(f"item {closing.item.id} was taken away")

"""Processor work: one run at a time, in steps, each committed with its checkpoint and its lease."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import structlog
from sqlalchemy import Connection, Select, event, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

from app.engine.closing import Closing, close, finish, put_back
from app.engine.handlers import Ending, Job, Jobs
from app.engine.items import LEASE, LeaseLost, claim, renew
from app.engine.process import Process
from app.engine.runs import complete_runs, fail_run, mark_started, tell
from app.engine.waiting import jitter
from app.errors import Conflict, DomainError
from app.pipeline import RunState, Stage
from app.storage.refusals import Refusal, refusal_of, words_of
from app.storage.tables import Run, WorkItem

_STEP_S = (
    15 * 60
)  # that a step may compute with its transaction open; one that writes says it is done by then
_WRITTEN_S = 60
_MOST_REFUSED = 5  # times in a row, of what the database refuses

_log = structlog.get_logger()


def work_job(sessions: sessionmaker[Session], jobs: Jobs, process: Process) -> bool:
    """Do one job, if one is due; when the process is to stop, up to its next step. Returns whether there was one."""
    for stage, job in jobs.items():
        with sessions.begin() as session:
            items = claim(session, [stage], 1, process.owner)
            mark_started(session, {item.run_id for item in items})
        for item in items:
            _work(sessions, job, item, process)
            return True
    return False


def _work(sessions: sessionmaker[Session], job: Job, item: WorkItem, process: Process) -> None:
    _log.info("job_started", run_id=item.run_id, stage=Stage(item.stage).value)
    with _lease_kept(sessions, item, process), sessions() as session:
        try:
            is_done = _go_through(session, job, item, process)
            _let_go(session, finish(item, Ending()) if is_done else put_back(item, refund=True))
            session.commit()
        except LeaseLost as lost:
            session.rollback()
            _log.info("job_lost", run_id=item.run_id, why=str(lost))
        except DomainError as error:
            session.rollback()
            _end_in_failure(session, item, error)
        except DBAPIError as error:
            session.rollback()
            _try_again_when_it_answers(session, item, error)
    with sessions.begin() as session:
        complete_runs(session)
        tell(session, [item.run_id])


def _go_through(session: Session, job: Job, item: WorkItem, process: Process) -> bool:
    """Run the steps; False when the run was paused, or this process is to stop, in between."""
    event.listen(session, "after_begin", _let_compute)
    run = session.get_one(Run, item.run_id)
    for _ in job(session, run):
        session.execute(_silence(_WRITTEN_S))  # what it wrote is held from here on
        if not renew(session, [item]):
            raise LeaseLost(f"item {item.id} was taken away")
        tell(session, [run.id])
        session.commit()
        session.refresh(run)
        session.commit()  # the next step may compute for long before it asks anything
        if run.state == RunState.PAUSED or process.is_stopping():
            return False
    return True


def _let_compute(_: Session, __: SessionTransaction, connection: Connection) -> None:
    connection.execute(_silence(_STEP_S))


def _silence(seconds: int) -> Select[Any]:
    """How long the server waits within this transaction before it takes its client for frozen."""
    return select(func.set_config("idle_in_transaction_session_timeout", f"{seconds}s", True))


def _try_again_when_it_answers(session: Session, item: WorkItem, error: DBAPIError) -> None:
    deadline = time.monotonic() + LEASE.total_seconds()
    while True:
        try:
            _try_again(session, item, error)
            return
        except DBAPIError:
            session.rollback()
            if time.monotonic() > deadline:
                raise  # its lease runs out
            time.sleep(1)


def _try_again(session: Session, item: WorkItem, error: DBAPIError) -> None:
    """The database refused a step: later it may not."""
    refusal, said = refusal_of(error), f"the database refused: {words_of(error)}"
    is_theirs = refusal in (Refusal.AWAY, Refusal.CLOSED)  # it costs no try that everybody is refused
    if refusal is Refusal.FAULT or (refusal is Refusal.BUSY and item.attempts >= _MOST_REFUSED):
        _end_in_failure(session, item, Conflict(said))
        return
    _log.warning("job_refused", run_id=item.run_id, refusal=refusal.value, error=words_of(error))
    why = (f"database_{refusal}", said)
    if close(session, [put_back(item, seconds=jitter(item.attempts + 3), refund=is_theirs, why=why)]):
        session.commit()
    else:
        session.rollback()


def _end_in_failure(session: Session, item: WorkItem, error: DomainError) -> None:
    try:
        fail_run(session, session.get_one(Run, item.run_id), str(error))
        _let_go(session, finish(item, Ending()))
        session.commit()
    except LeaseLost:
        session.rollback()


def _let_go(session: Session, closing: Closing) -> None:
    if not close(session, [closing]):
        raise LeaseLost(f"item {closing.item.id} was taken away")


@contextmanager
def _lease_kept(sessions: sessionmaker[Session], item: WorkItem, process: Process) -> Generator[None]:
    """Renew the lease from a second thread: a step may compute for longer than a lease."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(LEASE.total_seconds() / 4):
            try:
                with sessions.begin() as session:
                    if not renew(session, [item]):
                        return
                process.keep_alive()
            except DBAPIError as error:  # the next round may find the database again
                _log.warning("lease_not_renewed", item_id=item.id, error=words_of(error))

    thread = threading.Thread(target=keep, name=f"lease-{item.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()

"""Processor work: one run at a time, in steps, each committed with its checkpoint and its lease."""

import threading
from collections.abc import Generator
from contextlib import contextmanager

import structlog
from sqlalchemy import func
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from app.engine.closing import finish, put_back
from app.engine.forked_jobs import do_forked, end_in_failure, let_go
from app.engine.handlers import Ending, Job, Jobs
from app.engine.items import LEASE, LeaseLost, claim, renew
from app.engine.process import Process
from app.engine.runs import complete_runs, mark_started, tell
from app.errors import DomainError
from app.pipeline import RunState, Stage
from app.storage.tables import Run, WorkItem

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
    if process.forks_jobs:
        do_forked(lambda own: do_job(sessions, job, item, own), sessions, item, process)
    else:
        with _lease_kept(sessions, item, process):
            do_job(sessions, job, item, process)
    with sessions.begin() as session:
        complete_runs(session)
        tell(session, [item.run_id])


def do_job(sessions: sessionmaker[Session], job: Job, item: WorkItem, process: Process) -> None:
    """Go through the steps and close the item; somebody else keeps its lease."""
    with sessions() as session:
        try:
            is_done = _go_through(session, job, item, process)
            let_go(session, finish(item, Ending()) if is_done else put_back(item, refund=True))
            session.commit()
        except LeaseLost as lost:
            session.rollback()
            _log.info("job_lost", run_id=item.run_id, why=str(lost))
        except DomainError as error:
            session.rollback()
            end_in_failure(session, item, str(error))


def _go_through(session: Session, job: Job, item: WorkItem, process: Process) -> bool:
    """Run the steps; False when the run was paused, or this process is to stop, in between."""
    run = session.get_one(Run, item.run_id)
    for _ in job(session, run):
        if not renew(session, [item]):
            raise LeaseLost(f"item {item.id} was taken away")
        run.stepped_at = func.now()
        tell(session, [run.id])
        session.commit()
        session.refresh(run)
        session.commit()  # the next step may wait for long before it needs a transaction
        if run.state == RunState.PAUSED or process.is_stopping():
            return False
    return True


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
            except OperationalError as error:  # the next round may find the database again
                _log.warning("lease_not_renewed", item_id=item.id, error=str(error))

    thread = threading.Thread(target=keep, name=f"lease-{item.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()

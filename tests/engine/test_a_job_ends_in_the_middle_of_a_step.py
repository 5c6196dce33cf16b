"""A job has a process of its own: what cancels, pauses or kills it frees the worker, wherever the step stands."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.engine import forked_jobs, losses
from app.engine.jobs import work_job
from app.engine.process import Process
from app.engine.runs import cancel_run, count_rows, open_run, pause_run, progress_of, resume_run
from app.errors import InvalidInput
from app.pipeline import RunKind, RunState, Stage
from app.storage.tables import Run
from tests.factories import make_project

Sessions = sessionmaker[Session]
FOREVER_S = 600


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked_jobs, "_LOOK_S", 0.05)
    monkeypatch.setattr(forked_jobs, "_GRACE_S", 0.1)


@pytest.fixture
def run_id(sessions: Sessions) -> int:
    with sessions.begin() as session:
        return open_run(session, make_project(session).id, None, RunKind.INGEST, {}, total=3).id


def work(sessions: Sessions, job: object, **process: object) -> bool:
    here = Process("test", forks_jobs=True, **process)  # pyright: ignore
    return work_job(sessions, {Stage.INGEST: job}, here)  # pyright: ignore


def hangs(session: Session, run: Run) -> Iterator[None]:
    """In C, where no thread and no signal of Python's gets a turn, behind one step that is done."""
    if not run.progress:
        count_rows(session, run, {"counted": 1})
        run.progress = {"step": 1}
        yield
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    time.sleep(FOREVER_S)


def goes_on(session: Session, run: Run) -> Iterator[None]:
    count_rows(session, run, {"counted": 2})
    yield


def state_of(sessions: Sessions, run_id: int) -> tuple[str, dict[str, int]]:
    with sessions() as session:
        run = session.get_one(Run, run_id)
        return run.state, progress_of(session, run).done


@contextmanager
def meanwhile(sessions: Sessions, run_id: int, do: Callable[[Session], object]) -> Iterator[None]:
    """`do` it once the run's first step is committed."""

    def wait_and_do() -> None:
        while not state_of(sessions, run_id)[1]:
            time.sleep(0.02)
        with sessions.begin() as session:
            do(session)

    thread = threading.Thread(target=wait_and_do)
    thread.start()
    yield
    thread.join()


def test_a_cancelled_job_is_ended_at_once_and_the_next_one_is_done(sessions: Sessions, run_id: int) -> None:
    with meanwhile(sessions, run_id, lambda session: cancel_run(session, run_id)):
        assert work(sessions, hangs)
    with sessions.begin() as session:
        other = open_run(session, make_project(session).id, None, RunKind.INGEST, {}, total=2).id

    assert work(sessions, goes_on)
    assert state_of(sessions, run_id) == (RunState.CANCELLED, {"counted": 1, "cancelled": 2})
    assert state_of(sessions, other) == (RunState.COMPLETED, {"counted": 2})


def test_a_paused_job_is_ended_after_a_grace_and_goes_on_from_its_last_commit(
    sessions: Sessions, run_id: int
) -> None:
    with meanwhile(sessions, run_id, lambda session: pause_run(session, run_id, "by hand")):
        assert work(sessions, hangs)
    paused = state_of(sessions, run_id)
    with sessions.begin() as session:
        resume_run(session, run_id)

    assert work(sessions, goes_on)
    assert paused == (RunState.PAUSED, {"counted": 1})
    assert state_of(sessions, run_id) == (RunState.COMPLETED, {"counted": 3})


def test_a_worker_that_is_to_stop_leaves_a_hanging_step_to_the_next(sessions: Sessions, run_id: int) -> None:
    assert work(sessions, hangs, is_stopping=lambda: bool(state_of(sessions, run_id)[1]))

    assert work(sessions, goes_on)
    assert state_of(sessions, run_id) == (RunState.COMPLETED, {"counted": 3})


def test_a_job_that_kills_its_process_is_tried_three_times_and_then_said_so(
    sessions: Sessions, run_id: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(losses, "AGAIN_AFTER_S", 0.0)

    def dies(session: Session, run: Run) -> Iterator[None]:
        with (tmp_path / "tries").open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
        yield

    while work(sessions, dies):
        pass

    with sessions() as session:
        run = session.get_one(Run, run_id)
        assert (run.state, (run.reason or "")[:36]) == (
            RunState.FAILED,
            "its process died three times, at las",
        )
    assert (tmp_path / "tries").read_text() == "xxx"


def test_a_job_that_says_why_it_cannot_go_on_says_it_from_there_too(sessions: Sessions, run_id: int) -> None:
    def refuses(session: Session, run: Run) -> Iterator[None]:
        yield
        raise InvalidInput("the file is gone")

    assert work(sessions, refuses)

    with sessions() as session:
        assert session.get_one(Run, run_id).reason == "the file is gone"
    assert state_of(sessions, run_id) == (RunState.FAILED, {"error": 3})

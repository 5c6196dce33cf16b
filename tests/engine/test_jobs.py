"""Processor work goes on from its last commit, whoever does it."""

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.engine.jobs import work_job
from app.engine.process import Process
from app.engine.runs import cancel_run, count_rows, open_run, pause_run, progress_of, resume_run
from app.engine.sweep import sweep
from app.errors import InvalidInput
from app.pipeline import RunKind, RunState, Stage
from app.storage.tables import Run
from tests.engine.conftest import expire
from tests.factories import make_project

Sessions = sessionmaker[Session]
STEPS = 5


def count_to_five(session: Session, run: Run) -> Iterator[None]:
    """Counts one row per step."""
    for step in range(int(run.progress.get("step", 0)), STEPS):
        count_rows(session, run, {"counted": 1})
        run.progress = {"step": step + 1}
        yield


@pytest.fixture
def run_id(sessions: Sessions) -> int:
    with sessions.begin() as session:
        return open_run(session, make_project(session).id, None, RunKind.INGEST, {}, total=STEPS).id


def work(sessions: Sessions, job: object = count_to_five, process: Process | None = None) -> bool:
    return work_job(sessions, {Stage.INGEST: job}, process or Process("test"))  # pyright: ignore


def state_of(sessions: Sessions, run_id: int) -> tuple[str, dict[str, int], int]:
    with sessions() as session:
        run = session.get_one(Run, run_id)
        progress = progress_of(session, run)
    assert progress.total == sum(progress.done.values()) + progress.pending
    return run.state, progress.done, progress.pending


def test_a_job_is_done_once_and_its_run_completes(sessions: Sessions, run_id: int) -> None:
    assert work(sessions)

    assert not work(sessions)
    assert state_of(sessions, run_id) == (RunState.COMPLETED, {"counted": STEPS}, 0)


def test_a_paused_job_goes_on_where_it_stopped(sessions: Sessions, run_id: int) -> None:
    def paused_at_two(session: Session, run: Run) -> Iterator[None]:
        for step in count_to_five(session, run):
            if run.progress["step"] == 2:
                with sessions.begin() as other:
                    pause_run(other, run.id, "by hand")
            yield step

    work(sessions, paused_at_two)
    paused = state_of(sessions, run_id)
    assert not work(sessions)
    with sessions.begin() as session:
        resume_run(session, run_id)
    work(sessions)

    assert paused == (RunState.PAUSED, {"counted": 2}, 3)
    assert state_of(sessions, run_id) == (RunState.COMPLETED, {"counted": STEPS}, 0)


def test_a_job_whose_process_died_is_taken_up_by_another(sessions: Sessions, run_id: int) -> None:
    def dies_at_three(session: Session, run: Run) -> Iterator[None]:
        for step in count_to_five(session, run):
            yield step
            if run.progress["step"] == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(sessions, dies_at_three)
    with sessions.begin() as session:
        expire(session)
    with sessions.begin() as session:
        sweep(session)
    work(sessions)

    assert state_of(sessions, run_id) == (RunState.COMPLETED, {"counted": STEPS}, 0)


def test_a_job_that_cannot_go_on_says_why_and_counts_the_rest(sessions: Sessions, run_id: int) -> None:
    def refuses_after_one(session: Session, run: Run) -> Iterator[None]:
        yield next(count_to_five(session, run))
        raise InvalidInput("the file is gone")

    work(sessions, refuses_after_one)

    with sessions() as session:
        assert session.get_one(Run, run_id).reason == "the file is gone"
    assert state_of(sessions, run_id) == (RunState.FAILED, {"counted": 1, "error": 4}, 0)


def test_what_a_cancelled_job_does_afterwards_does_not_count(sessions: Sessions, run_id: int) -> None:
    def cancelled_at_two(session: Session, run: Run) -> Iterator[None]:
        for step in count_to_five(session, run):
            yield step
            if run.progress["step"] == 2:
                with sessions.begin() as other:
                    cancel_run(other, run.id)

    work(sessions, cancelled_at_two)

    assert state_of(sessions, run_id) == (RunState.CANCELLED, {"counted": 2, "cancelled": 3}, 0)


def test_a_process_that_is_to_stop_leaves_the_job_to_the_next(sessions: Sessions, run_id: int) -> None:
    work(sessions, process=Process("stopping", is_stopping=lambda: True))
    interrupted = state_of(sessions, run_id)
    work(sessions)

    assert interrupted == (RunState.RUNNING, {"counted": 1}, 4)
    assert state_of(sessions, run_id) == (RunState.COMPLETED, {"counted": STEPS}, 0)

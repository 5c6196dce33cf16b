"""Work that kills its worker is tried three times and then says so; nothing else is blamed for it."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from app.engine.items import claim, claim_suspect
from app.engine.jobs import work_job
from app.engine.process import Process
from app.engine.runs import open_run, progress_of
from app.engine.sweep import sweep
from app.pipeline import ItemState, RunKind, RunState, Stage
from app.storage.tables import Run, RunEvent, WorkItem
from tests.engine.conftest import expire
from tests.factories import make_project

Sessions = sessionmaker[Session]


def dies(session: Session, run: Run) -> Iterator[None]:
    raise KeyboardInterrupt
    yield


def everybody_silent(sessions: Sessions) -> None:
    with sessions.begin() as session:
        expire(session)
    with sessions.begin() as session:
        sweep(session)


def test_a_job_is_tried_three_times_and_each_time_its_run_says_so(sessions: Sessions) -> None:
    with sessions.begin() as session:
        run_id = open_run(session, make_project(session).id, None, RunKind.INGEST, {}, total=7).id

    tries = 0
    for _ in range(5):
        try:
            work_job(sessions, {Stage.INGEST: dies}, Process("test"))
        except KeyboardInterrupt:
            tries += 1
        everybody_silent(sessions)

    with sessions() as session:
        run = session.get_one(Run, run_id)
        progress = progress_of(session, run)
        events = session.scalars(select(RunEvent.event).order_by(RunEvent.id)).all()
    assert tries == 3
    assert run.state == RunState.FAILED
    assert "its worker died three times while reading its source" in (run.reason or "")
    assert (progress.done, progress.pending) == ({"error": 7}, 0)
    assert events == ["started", "worker lost", "worker lost", "failed"]


def test_an_item_that_cost_three_workers_ends_as_an_error_and_the_others_go_on(
    sessions: Sessions, start_run: Callable[..., int]
) -> None:
    run_id = start_run(3)
    for _ in range(2):
        with sessions.begin() as session:
            assert len(claim(session, [Stage.GENERATE], 3, "dying")) == 3
        everybody_silent(sessions)

    with sessions.begin() as session:
        together = claim(session, [Stage.GENERATE], 3, "dying")
        [alone] = claim_suspect(session, "dying")
        no_second = claim_suspect(session, "dying")
    everybody_silent(sessions)

    with sessions() as session:
        ended = session.get_one(WorkItem, alone.id)
        open_ones = session.scalars(select(WorkItem).where(WorkItem.id != alone.id)).all()
        progress = progress_of(session, session.get_one(Run, run_id))
    assert (together, no_second) == ([], [])
    assert (ended.state, ended.error_code) == (ItemState.FAILED, "worker_died")
    assert {item.state for item in open_ones} == {ItemState.PENDING}
    assert (progress.done, progress.pending) == ({"error": 1}, 2)


@pytest.mark.parametrize("seen", [ItemState.LEASED])
def test_a_worker_that_is_only_slow_has_lost_nothing(
    sessions: Sessions, start_run: Callable[..., int], seen: ItemState
) -> None:
    start_run(2)
    with sessions.begin() as session:
        claim(session, [Stage.GENERATE], 2, "slow")
        session.execute(update(WorkItem).values(losses=2))
    with sessions.begin() as session:
        sweep(session)

    with sessions() as session:
        assert set(session.scalars(select(WorkItem.state))) == {seen}

"""A worker process dies at any step of an item's life: its work is done once, and what may be billed is named."""

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from redis import Redis
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.engine.drain import Drain
from app.engine.runs import progress_of
from app.engine.sweep import sweep
from app.pipeline import RunState
from app.storage.tables import Call, Run
from tests.engine.conftest import expire
from tests.engine.dying_worker import (
    ARRIVED,
    ASKED,
    IN_FLIGHT,
    LEAVING,
    PREPARING,
    RECORDED,
    RECORDING,
    Counting,
)

ITEMS = 30
TRACES = {  # what there is of its calls when it has died
    PREPARING: set[str](),
    LEAVING: {"open"},
    IN_FLIGHT: {"open", "asked"},
    ARRIVED: {"open", "asked"},
    RECORDING: {"open", "asked"},
    RECORDED: {"open", "asked", "recorded"},  # it has claimed ahead
}


def calls_in(session: Session, state: str) -> dict[int, int]:
    """What each call has reserved, by its id."""
    rows = session.execute(select(Call.id, Call.reserved_micro).where(Call.state == state))
    return {call_id: reserved for call_id, reserved in rows}


@pytest.mark.parametrize("step", TRACES)
def test_every_item_has_one_outcome_and_no_more_is_asked_twice_than_was_open(
    sessions: sessionmaker[Session],
    start_run: Callable[..., int],
    make_drain: Callable[..., Drain],
    servers: tuple[str, str],
    step: str,
) -> None:
    run_id = start_run(ITEMS)
    redis = Redis.from_url(servers[1], decode_responses=True)
    redis.delete(ASKED)

    died = subprocess.run(
        [sys.executable, "-m", "tests.engine.dying_worker", *servers, step], timeout=60, check=False
    )
    with sessions.begin() as session:
        open_at_the_kill, recorded = calls_in(session, "sent"), calls_in(session, "done")
        expire(session)
    found = {"open": open_at_the_kill, "asked": redis.exists(ASKED), "recorded": recorded}
    with sessions.begin() as session:
        sweep(session)
    make_drain(Counting(servers[1])).work(20)

    asked = [int(times) for times in redis.hvals(ASKED)]
    with sessions() as session:
        run = session.get_one(Run, run_id)
        progress = progress_of(session, run)
        unknown = calls_in(session, "unknown")
    assert died.returncode == -signal.SIGKILL
    assert {trace for trace, there in found.items() if there} == TRACES[step]
    assert run.state == RunState.COMPLETED
    assert (progress.total, progress.done, progress.pending) == (ITEMS, {"passed": ITEMS}, 0)
    assert unknown == open_at_the_kill
    assert run.reserved_micro == sum(unknown.values())
    assert len(asked) == ITEMS
    assert sum(asked) - ITEMS <= len(open_at_the_kill)

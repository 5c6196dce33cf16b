"""A worker process dies at any step of an item's life: its work is done once, and what may be billed is named."""

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from redis import Redis
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, sessionmaker

from app.engine.drain import Drain
from app.engine.runs import progress_of
from app.engine.sweep import sweep
from app.pipeline import RunState
from app.storage.tables import Call, Run
from tests.engine.dying_worker import ASKED, PREPARING, STEPS, Counting

ITEMS = 30


def calls_in(session: Session, state: str) -> tuple[int, int]:
    """How many calls, and what they have reserved."""
    reserved = func.coalesce(func.sum(Call.reserved_micro), 0)
    number, promised = session.execute(select(func.count(), reserved).where(Call.state == state)).one()
    return int(number), int(promised)


@pytest.mark.parametrize("step", STEPS)
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
        open_at_the_kill, _ = calls_in(session, "sent")
        session.execute(text("UPDATE work_item SET lease_expires_at = now() WHERE state = 'leased'"))
    with sessions.begin() as session:
        sweep(session)
    make_drain(Counting(servers[1])).work(20)

    asked = [int(times) for times in redis.hvals(ASKED)]
    with sessions() as session:
        run = session.get_one(Run, run_id)
        progress = progress_of(session, run)
        unknown, promised = calls_in(session, "unknown")
    assert died.returncode == -signal.SIGKILL
    assert run.state == RunState.COMPLETED
    assert (progress.total, progress.done, progress.pending) == (ITEMS, {"passed": ITEMS}, 0)
    assert (unknown, promised) == (open_at_the_kill, run.reserved_micro)
    assert (open_at_the_kill == 0) == (step in (PREPARING,)) or step == STEPS[-1]
    assert len(asked) == ITEMS
    assert sum(asked) - ITEMS <= open_at_the_kill

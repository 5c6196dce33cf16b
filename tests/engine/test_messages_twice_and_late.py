"""A message that comes twice, late or out of order changes nothing."""

import threading
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.engine.asking import Departure, take_off
from app.engine.drain import Drain
from app.engine.items import claim
from app.engine.recording import Landed, land
from app.engine.runs import progress_of
from app.engine.sweep import sweep
from app.pipeline import Stage
from app.prompting.prompt import Reply
from app.storage.tables import Call, Run
from tests.engine.conftest import Echo, expire
from tests.scripted_llm import ScriptedLLM

HANDLERS = {Stage.GENERATE: Echo()}
ITEMS = 5

Sessions = sessionmaker[Session]


def depart(sessions: Sessions, owner: str) -> Sequence[Departure]:
    with sessions.begin() as session:
        claimed = claim(session, [Stage.GENERATE], ITEMS, owner)
        return take_off(session, HANDLERS, claimed).departures


def arrive(sessions: Sessions, departures: Sequence[Departure]) -> None:
    reply = Reply("fine", "stop", prompt_tokens=100, completion_tokens=10)
    with sessions.begin() as session:
        land(session, HANDLERS, [Landed(one.call.id, one.item, reply, 5) for one in departures])


def counts(sessions: Sessions, run_id: int) -> tuple[dict[str, int], int, int, int]:
    """Outcomes, pending, micro-dollars spent and reserved."""
    with sessions() as session:
        run = session.get_one(Run, run_id)
        progress = progress_of(session, run)
        return progress.done, progress.pending, run.cost_micro, run.reserved_micro


def take_away(sessions: Sessions) -> None:
    """All leases run out, and the sweeper sees it."""
    with sessions.begin() as session:
        expire(session)
    with sessions.begin() as session:
        sweep(session)


def test_replies_that_are_recorded_twice_count_once(
    sessions: Sessions, start_run: Callable[..., int]
) -> None:
    run_id = start_run(ITEMS)
    departures = depart(sessions, "one")

    arrive(sessions, departures)
    once = counts(sessions, run_id)
    arrive(sessions, departures)

    assert once == counts(sessions, run_id) == ({"passed": ITEMS}, 0, ITEMS * 110, 0)


@pytest.mark.parametrize("late_one_first", [True, False])
def test_a_late_reply_is_kept_and_paid_but_is_no_result(
    sessions: Sessions, start_run: Callable[..., int], late_one_first: bool
) -> None:
    run_id = start_run(ITEMS)
    late = depart(sessions, "one")
    take_away(sessions)
    prompt = depart(sessions, "two")

    arrivals = [late, prompt] if late_one_first else [prompt, late]
    arrive(sessions, arrivals[0])
    half_way = counts(sessions, run_id)
    arrive(sessions, arrivals[1])

    assert half_way[0] == ({} if late_one_first else {"passed": ITEMS})
    assert counts(sessions, run_id) == ({"passed": ITEMS}, 0, 2 * ITEMS * 110, 0)
    with sessions() as session:
        assert session.scalars(select(func.count()).where(Call.state == "done")).one() == 2 * ITEMS


def test_doorbells_that_ring_again_and_again_ask_nothing_twice(
    sessions: Sessions, start_run: Callable[..., int], make_drain: Callable[..., Drain]
) -> None:
    run_id = start_run(60)
    client = ScriptedLLM(["fine"])
    ringing = [
        threading.Thread(target=one.work, args=(10,))
        for one in (make_drain(client), make_drain(client))
        for _ in range(4)
    ]

    for thread in ringing:
        thread.start()
    for thread in ringing:
        thread.join(30)

    assert counts(sessions, run_id)[:2] == ({"passed": 60}, 0)
    assert len(client.asked) == 60

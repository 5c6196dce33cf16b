"""Every item of a run ends with exactly one outcome, whatever the provider does."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.engine import drain
from app.engine.drain import Drain
from app.engine.process import Process
from app.engine.runs import cancel_run, pause_run, progress_of, resume_run
from app.llm.client import Failure, ProviderError
from app.pipeline import ItemState, RunState
from app.prompting.prompt import Prompt, Reply
from app.storage.tables import Call, Run, WorkItem
from tests.scripted_llm import ScriptedLLM

Sessions = sessionmaker[Session]
Start = Callable[..., int]
Drained = Callable[[ScriptedLLM, int], Run]


def make_due(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.execute(update(WorkItem).values(next_attempt_at=func.now()))


def test_a_run_asks_once_per_item_and_completes(
    sessions: Sessions, start_run: Start, drained: Drained
) -> None:
    client = ScriptedLLM(["fine"])

    run = drained(client, start_run(20))

    with sessions() as session:
        progress = progress_of(session, run)
        calls = session.scalars(select(Call)).all()
    assert run.state == RunState.COMPLETED
    assert (progress.total, progress.done, progress.pending) == (20, {"passed": 20}, 0)
    assert len(client.asked) == 20
    assert {call.state for call in calls} == {"done"}
    assert all(call.reply == "fine" and call.prompt_tokens == 100 for call in calls)


def test_what_was_spent_is_what_the_replies_cost_and_nothing_stays_reserved(
    start_run: Start, drained: Drained
) -> None:
    run = drained(ScriptedLLM(["fine"]), start_run(10))

    assert (run.cost_micro, run.reserved_micro) == (10 * 110, 0)


def test_an_unusable_reply_is_asked_again_twice_with_what_was_wrong_and_then_counted(
    sessions: Sessions, start_run: Start, drained: Drained
) -> None:
    client = ScriptedLLM(["bad"])

    run = drained(client, start_run(1))

    with sessions() as session:
        assert progress_of(session, run).done == {"unusable": 1}
        assert session.scalars(select(Call.reply)).all() == ["bad"] * 3
    assert run.state == RunState.COMPLETED
    assert "it says bad" in client.asked[1].user


def test_a_passing_fault_is_tried_again_later(sessions: Sessions, start_run: Start, drained: Drained) -> None:
    fault = ProviderError(Failure.TRANSIENT, "http_503", "busy", retry_after=30)
    client = ScriptedLLM([fault, "fine"])
    run_id = start_run(1)

    run = drained(client, run_id)
    with sessions() as session:
        waiting = progress_of(session, run)
    make_due(sessions)
    run = drained(client, run_id)

    assert (waiting.pending, waiting.reasons) == (1, {"http_503": 1})
    assert run.state == RunState.COMPLETED


def test_too_many_requests_does_not_cost_an_attempt(
    sessions: Sessions, start_run: Start, drained: Drained
) -> None:
    limited = ProviderError(Failure.RATE_LIMITED, "rate_limited", "slow down", retry_after=30)

    drained(ScriptedLLM([limited]), start_run(1))

    with sessions() as session:
        item = session.scalars(select(WorkItem)).one()
        assert (item.state, item.attempts) == (ItemState.PENDING, 0)


def test_a_question_that_cannot_be_answered_ends_as_an_error_and_the_run_says_so(
    sessions: Sessions, start_run: Start, drained: Drained
) -> None:
    too_long = ProviderError(Failure.PERMANENT, "context_length_exceeded", "too long")

    run = drained(ScriptedLLM([too_long, "fine"]), start_run(2))

    with sessions() as session:
        assert progress_of(session, run).done == {"error": 1, "passed": 1}
    assert run.state == RunState.COMPLETED_WITH_ERRORS


def test_a_wrong_key_pauses_the_run_at_once_and_says_why(
    sessions: Sessions, start_run: Start, drained: Drained
) -> None:
    denied = ProviderError(Failure.FATAL, "invalid_api_key", "401 no")
    client = ScriptedLLM([denied])

    run = drained(client, start_run(30))

    assert run.state == RunState.PAUSED
    assert run.reason is not None
    assert "invalid_api_key" in run.reason
    assert len(client.asked) <= 8
    with sessions() as session:
        assert progress_of(session, run).pending == 30


def test_a_timeout_may_have_been_billed_so_its_reservation_stays(
    sessions: Sessions, start_run: Start, drained: Drained
) -> None:
    timeout = ProviderError(Failure.TRANSIENT, "timeout", "no answer", retry_after=30, may_be_billed=True)

    run = drained(ScriptedLLM([timeout]), start_run(1))

    with sessions() as session:
        call = session.scalars(select(Call)).one()
    assert call.state == "unknown"
    assert run.reserved_micro == call.reserved_micro > 0


def test_committed_and_reserved_never_exceed_the_budget(
    sessions: Sessions, start_run: Start, drained: Drained
) -> None:
    budget = 5000
    seen: list[int] = []

    def look(prompt: Prompt) -> None:
        with sessions() as session:
            run = session.scalars(select(Run)).one()
            seen.append(run.cost_micro + run.reserved_micro)

    client = ScriptedLLM([Reply("fine", "stop", None, 40, 1000)], on_ask=look)

    run = drained(client, start_run(50, budget_micro=budget))

    assert run.state == RunState.PAUSED
    assert run.reason == "budget"
    assert 0 < max(seen) <= budget
    assert run.cost_micro + run.reserved_micro <= budget
    with sessions() as session:
        assert progress_of(session, run).pending == 50 - len(client.asked)


def test_a_paused_run_is_not_worked_on_until_it_is_resumed(
    sessions: Sessions, start_run: Start, drained: Drained
) -> None:
    run_id = start_run(3)
    with sessions.begin() as session:
        pause_run(session, run_id, "by hand")
    client = ScriptedLLM(["fine"])

    drained(client, run_id)
    asked_while_paused = len(client.asked)
    with sessions.begin() as session:
        resume_run(session, run_id)
    run = drained(client, run_id)

    assert asked_while_paused == 0
    assert run.state == RunState.COMPLETED


def test_a_run_paused_over_its_last_call_completes_when_resumed(
    sessions: Sessions, start_run: Start, drained: Drained
) -> None:
    run_id = start_run(1)

    def pause(_: Prompt) -> None:
        with sessions.begin() as session:
            pause_run(session, run_id, "by hand")

    paused = drained(ScriptedLLM(["fine"], on_ask=pause), run_id)
    with sessions.begin() as session:
        resume_run(session, run_id)

    assert paused.state == RunState.PAUSED
    with sessions() as session:
        assert session.get_one(Run, run_id).state == RunState.COMPLETED


@pytest.mark.parametrize("moment", ["before", "in flight"])
def test_a_cancelled_run_keeps_its_count_and_ignores_late_replies(
    sessions: Sessions, start_run: Start, drained: Drained, moment: str
) -> None:
    run_id = start_run(5)

    def cancel(_: Prompt | None = None) -> None:
        with sessions.begin() as session:
            if session.get_one(Run, run_id).state != RunState.CANCELLED:
                cancel_run(session, run_id)

    if moment == "before":
        cancel()
    run = drained(ScriptedLLM(["fine"], on_ask=cancel if moment == "in flight" else None), run_id)

    with sessions() as session:
        assert progress_of(session, run).done == {"cancelled": 5}
        assert all(call.reply == "fine" for call in session.scalars(select(Call)))
    assert run.state == RunState.CANCELLED


def test_a_process_that_is_to_stop_hands_back_what_it_holds(
    sessions: Sessions, start_run: Start, make_drain: Callable[..., Drain], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "_GRACE_S", 0.1)
    start_run(3)
    asked = threading.Event()

    class Silent(ScriptedLLM):
        async def ask(self, prompt: Prompt, model: str) -> Reply:
            asked.set()
            await asyncio.sleep(60)
            raise AssertionError

    started = time.monotonic()
    working = make_drain(Silent(["never"]), Process("test", asked.is_set))
    working.work(60)
    working.close()

    assert time.monotonic() - started < 10
    with sessions() as session:
        assert set(session.scalars(select(WorkItem.state))) == {ItemState.PENDING}
        assert set(session.scalars(select(Call.state))) == {"unknown"}

"""One reply, one item or one run that nobody foresaw costs itself only: the others end as if it were not there."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session, sessionmaker
from structlog.testing import capture_logs

from app.engine import sweep as sweeping
from app.engine.drain import Drain
from app.engine.handlers import Ending
from app.engine.process import Process
from app.engine.runs import progress_of
from app.engine.sweep import sweep
from app.errors import DomainError
from app.llm.client import Failure, ProviderError
from app.pipeline import RunState
from app.prompting.prompt import Prompt, Reply
from app.storage.tables import Call, Run, WorkItem
from tests.engine.conftest import Echo

Sessions = sessionmaker[Session]
Start = Callable[..., int]
MakeDrain = Callable[..., Drain]
ITEMS = 6
FINE = Reply("fine", "stop", prompt_tokens=100, completion_tokens=10)


class OneOdd:
    """Answers the third question with what it is given, as often as it is asked, and every other well."""

    def __init__(self, odd: Reply | ProviderError | Exception) -> None:
        self._odd = odd

    async def ask(self, prompt: Prompt, model: str) -> Reply:
        if not prompt.user.startswith("question 3"):
            return FINE
        if isinstance(self._odd, Exception):
            raise self._odd
        return self._odd

    async def close(self) -> None: ...


@pytest.fixture(autouse=True)
def _logs_are_kept_and_not_printed() -> Iterator[None]:
    """Where nobody has said how, each traceback is painted for seconds."""
    with capture_logs():
        yield


def too_many(retry_after: float) -> ProviderError:
    return ProviderError(Failure.RATE_LIMITED, "rate_limit_exceeded", "slow down", retry_after=retry_after)


def ended(sessions: Sessions, run_id: int) -> dict[str, int]:
    with sessions() as session:
        return progress_of(session, session.get_one(Run, run_id)).done


def until(sessions: Sessions, drain: Drain, run_id: int, done: dict[str, int]) -> None:
    """Work until the run has come so far."""
    deadline = time.monotonic() + 30
    while ended(sessions, run_id) != done and time.monotonic() < deadline:
        drain.work(1)
    assert ended(sessions, run_id) == done


@pytest.mark.parametrize(
    "odd",
    [
        Reply("a\x00b \ud800", "sto\x00p", "\ud800", 10, 10),
        Reply("fine", "stop", None, 10**30, -(10**30)),
        Reply("fine", "stop", None, prompt_tokens=float("inf")),  # pyright: ignore[reportArgumentType]
    ],
    ids=["text that cannot be stored", "tokens beyond bigint", "infinite tokens"],
)
def test_a_reply_that_the_database_cannot_hold_is_kept_as_far_as_it_can(
    sessions: Sessions, start_run: Start, make_drain: MakeDrain, odd: Reply
) -> None:
    run_id = start_run(ITEMS)

    until(sessions, make_drain(OneOdd(odd)), run_id, {"passed": ITEMS})

    with sessions() as session:
        assert session.scalars(select(func.count()).where(Call.state == "done")).one() == ITEMS


@pytest.mark.parametrize(
    "odd",
    [
        too_many(float("inf")),
        too_many(float("nan")),
        too_many(1e300),
        too_many(-5.0),
        ProviderError(Failure.TRANSIENT, "o\x00dd \ud800", "\ud800" * 9000, retry_after=1e18),
    ],
    ids=["inf", "nan", "1e300", "negative", "words that cannot be stored"],
)
def test_a_refusal_with_an_absurd_wait_is_due_again_within_the_hour(
    sessions: Sessions, start_run: Start, make_drain: MakeDrain, odd: ProviderError
) -> None:
    run_id = start_run(ITEMS)

    drain = make_drain(OneOdd(odd))
    until(sessions, drain, run_id, {"passed": ITEMS - 1})
    drain.close()

    soon = func.now() + text("interval '1 hour 1 minute'")
    with sessions() as session:
        assert session.scalars(select(WorkItem.next_attempt_at < soon).where(WorkItem.source_id == 3)).one()


class Stumbles(Echo):
    """Nobody foresaw what it does about the third question."""

    def __init__(self, fault: Exception, at: str) -> None:
        self._fault = fault
        self._at = at

    def prepare(self, session: Session, items: Sequence[WorkItem]) -> Sequence[Prompt]:
        if self._at == "prepare" and any(item.source_id == 3 for item in items):
            raise self._fault
        return super().prepare(session, items)

    def record(
        self, session: Session, answered: Sequence[tuple[WorkItem, Call]]
    ) -> Sequence[Ending | DomainError]:
        if any(item.source_id == 3 for item, _ in answered):
            if self._at == "record":
                raise self._fault
            if self._at == "database":
                session.execute(text("SELECT now() + 1e300 * interval '1 second'"))
        return super().record(session, answered)


@pytest.mark.parametrize(
    ("fault", "at", "code"),
    [
        (RecursionError("too deep"), "prepare", "not_prepared"),
        (UnicodeError("no text"), "record", "not_recorded"),
        (OverflowError("too large"), "database", "not_recorded"),
    ],
    ids=str,
)
def test_a_fault_costs_its_item_and_its_reply_is_kept(
    sessions: Sessions, start_run: Start, make_drain: MakeDrain, fault: Exception, at: str, code: str
) -> None:
    run_id = start_run(ITEMS)

    drain = make_drain(OneOdd(Reply("the third", "stop")), handler=Stumbles(fault, at))
    until(sessions, drain, run_id, {"passed": ITEMS - 1, "error": 1})

    with sessions() as session:
        item = session.scalars(select(WorkItem).where(WorkItem.source_id == 3)).one()
        replies = session.scalars(select(Call.reply).where(Call.item_id == item.id)).all()
        assert session.get_one(Run, run_id).state == RunState.COMPLETED_WITH_ERRORS
        assert not session.scalars(select(Call.id).where(Call.state == "sent")).all()
    assert item.error_code == code
    assert replies == ([] if at == "prepare" else ["the third"])


def test_what_a_process_does_besides_may_fail_and_its_runs_still_end(
    sessions: Sessions, start_run: Start, make_drain: MakeDrain
) -> None:
    def fails() -> None:
        raise ZeroDivisionError("nobody foresaw this")

    run_id = start_run(ITEMS)

    until(sessions, make_drain(OneOdd(FINE), Process("test", keep_alive=fails)), run_id, {"passed": ITEMS})


@pytest.mark.parametrize(
    "held",
    [
        "SELECT id FROM run WHERE id = :run FOR UPDATE",
        "SELECT id FROM work_item WHERE run_id = :run FOR UPDATE",
        "UPDATE run SET priority = 'low' WHERE id = :run",
    ],
)
def test_a_session_that_holds_rows_of_one_run_does_not_hold_up_another(
    sessions: Sessions, start_run: Start, make_drain: MakeDrain, held: str
) -> None:
    """The rows of the first are held while its calls are in flight."""
    stuck, healthy = start_run(ITEMS), start_run(ITEMS)
    drain = make_drain(OneOdd(FINE))
    with sessions() as session:
        session.connection().exec_driver_sql("SET application_name = 'psql'")
        session.execute(text(held), {"run": stuck})
        until(sessions, drain, healthy, {"passed": ITEMS})
        assert ended(sessions, stuck) == {}
        session.rollback()

    until(sessions, drain, stuck, {"passed": ITEMS})


FROZEN = """
import os, signal, sys
from sqlalchemy import text
from app.storage.database import Bounds, make_engine
connection = make_engine(sys.argv[1], Bounds("breakwater frozen", idle_s=1)).connect()
connection.execute(text("SELECT pg_advisory_xact_lock(7200915)"))
connection.execute(text("SELECT id FROM work_item FOR UPDATE"))
print("holding", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_worker_that_freezes_within_a_transaction_holds_its_rows_no_longer_than_its_bound(
    sessions: Sessions, start_run: Start, make_drain: MakeDrain, servers: tuple[str, str]
) -> None:
    run_id = start_run(ITEMS)
    frozen = subprocess.Popen(
        [sys.executable, "-c", FROZEN, servers[0]], stdout=subprocess.PIPE, env=dict(os.environ)
    )
    try:
        assert frozen.stdout is not None
        assert frozen.stdout.readline() == b"holding\n"
        until(sessions, make_drain(OneOdd(FINE)), run_id, {"passed": ITEMS})
        with sessions.begin() as session:
            sweep(session)
    finally:
        frozen.send_signal(signal.SIGKILL)
        frozen.wait()
        frozen.stdout.close()


def test_the_sweeper_goes_round_a_session_that_sits_on_its_lock(
    sessions: Sessions, start_run: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_SWEEP_TAKES", sweeping.timedelta(0))
    run_id = start_run(0)
    with sessions() as holding:
        holding.connection().exec_driver_sql("SET application_name = 'psql'")
        holding.execute(text("SELECT pg_advisory_xact_lock(7200915)"))
        with sessions.begin() as session:
            [holder] = [
                one for one in sweeping.what_blocks(session, sweeping.timedelta(0)) if one.holds_sweeper
            ]
            sweep(session)
        holding.rollback()

    with sessions() as session:
        assert session.get_one(Run, run_id).state == RunState.COMPLETED
    assert (holder.application, holder.is_ours) == ("psql", False)


@pytest.mark.parametrize("due", ["infinity", "-infinity", "2083-01-01", "294276-12-31"])
def test_an_item_that_was_put_off_beyond_all_bounds_is_done_and_can_be_read(
    sessions: Sessions, start_run: Start, make_drain: MakeDrain, due: str
) -> None:
    run_id = start_run(ITEMS)
    with sessions.begin() as session:
        session.execute(update(WorkItem).values(next_attempt_at=text(f"timestamptz '{due}'")))
    with sessions() as session:
        assert len(session.scalars(select(WorkItem)).all()) == ITEMS

    until(sessions, make_drain(OneOdd(FINE)), run_id, {"passed": ITEMS})


class SlowModel:
    """Holds every call of one model for long, and answers the others at once."""

    async def ask(self, prompt: Prompt, model: str) -> Reply:
        await asyncio.sleep(60 if model == "slow" else 0)
        return FINE

    async def close(self) -> None: ...


def test_a_slow_model_holds_its_own_places_and_nobody_elses(
    sessions: Sessions, start_run: Start, make_drain: MakeDrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engine.drain._GRACE_S", 0.1)
    slow = start_run(4 * ITEMS)
    with sessions.begin() as session:
        session.get_one(Run, slow).params = {"generator": "slow", "discriminator": "slow"}
    drain = make_drain(SlowModel(), in_flight=2)
    drain.work(1)

    healthy = start_run(ITEMS)
    until(sessions, drain, healthy, {"passed": ITEMS})
    drain.close()

    assert ended(sessions, slow) == {}

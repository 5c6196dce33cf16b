"""Committed + reserved stay within the cap at every commit, whatever 128 calls in flight cost and when they end."""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from app.engine.drain import Drain
from app.engine.runs import cancel_run
from app.llm.client import Failure, ProviderError
from app.pipeline import UNFINISHED_RUNS
from app.prompting.prompt import Prompt, Reply
from app.storage.tables import Call, Run, WorkItem
from tests.engine.conftest import Echo

ITEMS = 200
_HOLDS = "CHECK (budget_micro IS NULL OR cost_micro + reserved_micro <= budget_micro)"


class Chancy:
    """Draws when and how each call ends. Never a 429: the gate would close, and few calls strain no budget."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    async def ask(self, prompt: Prompt, model: str) -> Reply:
        await asyncio.sleep(self._dice.uniform(0, 0.4))
        match self._dice.choices(["reply", "busy", "timeout"], [8, 1, 1])[0]:
            case "busy":
                raise ProviderError(Failure.TRANSIENT, "http_503", "busy", retry_after=0.05)
            case "timeout":
                raise ProviderError(
                    Failure.TRANSIENT, "timeout", "no answer", retry_after=0.05, may_be_billed=True
                )
            case _:
                return Reply("fine", "stop", None, 20, self._dice.randint(1, prompt.max_output_tokens))

    async def close(self) -> None: ...


class AsksAnew(Echo):
    """Every run has questions of its own: what an earlier one was answered would cost this one nothing."""

    def prepare(self, session: Session, items: Sequence[WorkItem]) -> Sequence[Prompt]:
        asked = super().prepare(session, items)
        return [
            one._replace(user=f"{one.user} of run {item.run_id}")
            for one, item in zip(asked, items, strict=True)
        ]


@pytest.fixture
def _every_commit_is_checked(engine: Engine) -> Iterator[None]:
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE run ADD CONSTRAINT budget_holds {_HOLDS}"))
    yield
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE run DROP CONSTRAINT budget_holds"))


@pytest.mark.usefixtures("_every_commit_is_checked")
@settings(max_examples=4, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(budget_micro=st.integers(5_000, 200_000), seed=st.integers(0, 2**32))
@example(budget_micro=160_000, seed=0)  # room for all 128 at once, and too little for all items
def test_committed_and_reserved_never_exceed_the_cap(
    sessions: sessionmaker[Session],
    start_run: Callable[..., int],
    make_drain: Callable[..., Drain],
    budget_micro: int,
    seed: int,
) -> None:
    run_id = start_run(ITEMS, budget_micro=budget_micro)
    drains = [make_drain(Chancy(seed + number), in_flight=64, handler=AsksAnew()) for number in (0, 1)]

    with ThreadPoolExecutor() as pool:
        for working in [pool.submit(one.work, 1.0) for one in drains]:
            working.result(30)  # raises where the database refused a commit: that ends the drain
    for one in drains:
        one.close()

    promised = func.coalesce(func.sum(Call.reserved_micro), 0)
    with sessions.begin() as session:
        run = session.get_one(Run, run_id)
        unknown = session.scalars(
            select(promised).where(Call.run_id == run_id, Call.state == "unknown")
        ).one()
        in_flight = select(func.count()).where(Call.run_id == run_id, Call.state == "sent")
        assert session.scalars(in_flight).one() == 0
        assert run.reserved_micro == unknown
        assert 0 < run.cost_micro + run.reserved_micro <= budget_micro
        if run.state in UNFINISHED_RUNS:
            cancel_run(session, run_id)  # the next example has the workers to itself

"""The engine on committed rows: its sessions are its own, so these tests clean up behind themselves."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from app.engine.drain import Drain
from app.engine.handlers import Ending
from app.engine.items import add_items
from app.engine.process import Process
from app.engine.runs import open_run
from app.errors import Unparsable
from app.llm.client import Client
from app.pipeline import Outcome, RunKind, Stage
from app.prompting.prompt import Prompt
from app.storage.tables import Base, Call, Price, Run, WorkItem
from tests.factories import make_project


class Echo:
    """A stage of one question. "bad" is unusable; anything else passes."""

    def prepare(self, session: Session, item: WorkItem) -> Prompt:
        return Prompt("system", f"question {item.source_id}", "echo", {}, "template", 1000)

    def record(self, session: Session, item: WorkItem, call: Call) -> Ending:
        if call.reply == "bad":
            raise Unparsable("it says bad")
        return Ending(outcome=Outcome.PASSED)

    def give_up(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> Ending:
        return Ending(outcome=Outcome.UNUSABLE)


@pytest.fixture
def sessions(engine: Engine) -> Iterator[sessionmaker[Session]]:
    yield sessionmaker(engine, expire_on_commit=False)
    with engine.begin() as connection:
        tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def start_run(sessions: sessionmaker[Session]) -> Callable[..., int]:
    """Commit a generation run of `items` items at one micro-dollar per token; returns its id."""

    def start(items: int, budget_micro: int | None = None) -> int:
        with sessions.begin() as session:
            session.add(Price(model="test", input_micro=1_000_000, output_micro=1_000_000))
            run = open_run(
                session,
                make_project(session).id,
                None,
                RunKind.GENERATE,
                {"generator": "test", "discriminator": "test"},
                total=items,
                budget_micro=budget_micro,
            )
            add_items(session, run, Stage.GENERATE, range(1, items + 1))
            return run.id

    return start


@pytest.fixture
def drained(sessions: sessionmaker[Session], loop: asyncio.AbstractEventLoop) -> Callable[[Client, int], Run]:
    """Drain with `client` until nothing is due, and return the run as it then stands."""

    def drain(client: Client, run_id: int) -> Run:
        Drain(sessions, {Stage.GENERATE: Echo()}, client, loop, Process("test"), 8).work(10)
        with sessions() as session:
            return session.get_one(Run, run_id)

    return drain

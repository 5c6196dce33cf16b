"""The engine on committed rows: its sessions are its own, so these tests clean up behind themselves."""

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, text, update
from sqlalchemy.orm import Session, sessionmaker

from app.engine import sweep
from app.engine.drain import Drain
from app.engine.handlers import Ending, Handler
from app.engine.items import add_items
from app.engine.process import Process
from app.engine.runs import open_run
from app.errors import DomainError, Unparsable
from app.llm.client import Client
from app.llm.limiter import Limiter
from app.pipeline import Outcome, RunKind, Stage
from app.prompting.prompt import Prompt
from app.storage.database import DRAIN, make_engine
from app.storage.tables import Base, Call, Price, Run, WorkItem
from tests.factories import make_project


def question(source_id: int) -> Prompt:
    return Prompt("system", f"question {source_id}", "echo", {}, "template", 1000)


def expire(session: Session) -> None:
    """All leases have run out."""
    session.execute(update(WorkItem).values(lease_expires_at=func.now() - timedelta(seconds=1)))


class Echo:
    """A stage of one question. "bad" is unusable; anything else passes."""

    def prepare(self, session: Session, items: Sequence[WorkItem]) -> Sequence[Prompt]:
        return [question(item.source_id) for item in items]

    def record(
        self, session: Session, answered: Sequence[tuple[WorkItem, Call]]
    ) -> Sequence[Ending | DomainError]:
        return [
            Unparsable("it says bad") if call.reply == "bad" else Ending(outcome=Outcome.PASSED)
            for _, call in answered
        ]

    def give_up(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> Ending:
        return Ending(outcome=Outcome.UNUSABLE)


@pytest.fixture
def sessions(engine: Engine) -> Iterator[sessionmaker[Session]]:
    yield sessionmaker(engine, expire_on_commit=False)
    with engine.begin() as connection:
        tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))


@pytest.fixture(autouse=True)
def _servers_have_been_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a start of Postgres the sweeper waits for holders to renew; those of the tests have just started."""
    monkeypatch.setattr(sweep, "_COMING_BACK", timedelta(0))


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
            session.merge(Price(model="test", input_micro=1_000_000, output_micro=1_000_000))
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
def make_drain(
    sessions: sessionmaker[Session], loop: asyncio.AbstractEventLoop, servers: tuple[str, str]
) -> Iterator[Callable[..., Drain]]:
    """Drains with a client, at a gate that nobody else uses; they are closed in the end."""
    provider, drains = uuid.uuid4().hex, list[Drain]()
    bound = make_engine(servers[0], DRAIN)

    def make(
        client: Client, process: Process | None = None, in_flight: int = 8, handler: Handler | None = None
    ) -> Drain:
        here = process or Process(f"test {len(drains)}")
        limiter = Limiter(servers[1], provider, here.owner)
        handlers = {Stage.GENERATE: handler or Echo()}
        own = sessionmaker(bound, expire_on_commit=False)
        drains.append(Drain(own, handlers, client, limiter, loop, here, in_flight))
        return drains[-1]

    yield make
    for drain in drains:
        drain.close()
    bound.dispose()


@pytest.fixture
def drained(
    sessions: sessionmaker[Session], make_drain: Callable[..., Drain]
) -> Callable[[Client, int], Run]:
    """Drain with `client` until nothing is due, and return the run as it then stands."""

    def drain(client: Client, run_id: int) -> Run:
        working = make_drain(client)
        working.work(10)
        working.close()
        with sessions() as session:
            return session.get_one(Run, run_id)

    return drain

"""A worker process that kills itself (-9) at one step of an item's life.

python -m tests.engine.dying_worker DATABASE_URL REDIS_URL STEP
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from redis import Redis
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from app.engine.drain import Drain
from app.engine.handlers import Ending
from app.engine.process import Process
from app.errors import DomainError
from app.llm.limiter import Limiter
from app.pipeline import Stage
from app.prompting.prompt import Prompt, Reply
from app.storage.database import make_engine
from app.storage.tables import Call, WorkItem
from tests.engine.conftest import Echo

PREPARING, LEAVING, IN_FLIGHT, ARRIVED, RECORDING, RECORDED = STEPS = (
    "while it prepares: the claim is not committed",
    "when the calls are in the ledger and none has left",
    "with calls in flight",
    "when a reply has arrived and waits to be recorded",
    "while it records: the replies are not committed",
    "when the first replies are committed",
)
ASKED = "asked"  # in Redis: how often each question reached the provider


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Counting:
    """A provider that counts on Redis, so that its count outlives who asks."""

    def __init__(self, redis_url: str, step: str = "") -> None:
        self._redis = Redis.from_url(redis_url)
        self._step = step
        self._has_arrived = False

    async def ask(self, prompt: Prompt, model: str) -> Reply:
        if self._step == LEAVING:
            die()
        self._redis.hincrby(ASKED, prompt.user, 1)
        if self._step == IN_FLIGHT:
            await asyncio.sleep(0.1)
            die()
        if self._step == ARRIVED:
            await self._let_one_arrive()
        return Reply("fine", "stop", prompt_tokens=100, completion_tokens=10)

    async def _let_one_arrive(self) -> None:
        """The first call comes home; while the others are in flight the drain waits a little before it records.

        Turns of the loop, not time: on a busy machine the drain might have waited long enough.
        """
        if self._has_arrived:
            await asyncio.sleep(60)
        self._has_arrived = True
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, die)

    async def close(self) -> None: ...


class Dying(Echo):
    def __init__(self, step: str) -> None:
        self._step = step
        self.has_recorded = False

    def prepare(self, session: Session, items: Sequence[WorkItem]) -> Sequence[Prompt]:
        if self._step == PREPARING:
            die()
        return super().prepare(session, items)

    def record(
        self, session: Session, answered: Sequence[tuple[WorkItem, Call]]
    ) -> Sequence[Ending | DomainError]:
        endings = super().record(session, answered)
        session.flush()
        if answered and self._step == RECORDING:
            die()
        self.has_recorded = self.has_recorded or bool(answered)
        return endings


def _die_once_recorded(handler: Dying) -> Callable[[Session], None]:
    def committed(_: Session) -> None:
        if handler.has_recorded:
            die()

    return committed


def main() -> None:
    database_url, redis_url, step = sys.argv[1:]
    sessions = sessionmaker(make_engine(database_url), expire_on_commit=False)
    handler = Dying(step)
    if step == RECORDED:
        event.listen(sessions, "after_commit", _die_once_recorded(handler))
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    limiter = Limiter(redis_url, "dying", "dying")
    client = Counting(redis_url, step)
    Drain(sessions, {Stage.GENERATE: handler}, client, limiter, loop, Process("dying"), 8).work(20)


if __name__ == "__main__":
    main()

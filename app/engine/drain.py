"""The drain loop: claim, ask, record, with many calls in flight and no transaction open across any of them.

One thread talks to the database; one long-lived asyncio loop beside it holds the calls. A slice ends when its
time is over or nothing is left to claim, and never leaves a call behind.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from queue import Empty, SimpleQueue
from typing import NamedTuple

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.engine.calls import close_call, close_failed_call, open_call, record_offline, usable_tries
from app.engine.handlers import Handlers
from app.engine.items import LeaseLost, claim, fail, finish, put_back, renew
from app.engine.money import rate_of, reserve
from app.engine.process import Process
from app.engine.runs import complete_runs, hold_run, mark_started, tell
from app.errors import DomainError, Unparsable
from app.llm.client import Client, Failure, ProviderError
from app.pipeline import Stage
from app.prompting.prompt import Answered, Prompt, Reply
from app.prompting.repeating import again
from app.storage.tables import Call, Run, WorkItem

# Finish what was begun before beginning more: a judged instance can reach a person.
_STAGES = ((Stage.DISCRIMINATE, "discriminator"), (Stage.GENERATE, "generator"))
_MODEL_OF = dict(_STAGES)

_USABLE_TRIES = 3  # a question, and two more with a changed request
_MOST_CALLS = 8  # of any kind, for one item
_RENEW_EVERY_S = 5.0
_GRACE_S = 4.0  # for replies after a stop was asked for; the supervisor kills after eight
_GROUP = 64  # results written in one transaction

_log = structlog.get_logger()


class _Answer(NamedTuple):
    reply: Reply | ProviderError
    latency_ms: int


class _Flight(NamedTuple):
    item: WorkItem
    call: Call
    future: "Future[_Answer]"


class Drain:
    """Works on model items for one process."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        handlers: Handlers,
        client: Client,
        loop: asyncio.AbstractEventLoop,
        process: Process,
        in_flight: int,
    ) -> None:
        """`loop` runs in another thread; `in_flight` is the most calls at a time."""
        self._sessions = sessions
        self._handlers = handlers
        self._client = client
        self._loop = loop
        self._process = process
        self._in_flight = in_flight
        self._flights: dict[int, _Flight] = {}  # by call
        self._landed: SimpleQueue[int] = SimpleQueue()  # calls with a reply, as the loop puts them
        self._ready: list[int] = []  # the same, to be recorded next

    def work(self, seconds: float) -> None:
        """Claim for up to `seconds`, or until nothing is due; then wait for what is in flight.

        When the process is asked to stop, replies have a few seconds to come; later ones are given up, and
        their items go back into the queue.
        """
        closing = time.monotonic() + seconds
        renew_at = time.monotonic() + _RENEW_EVERY_S
        while True:
            if self._process.is_stopping():
                closing = min(closing, time.monotonic())
                if time.monotonic() > closing + _GRACE_S:
                    self._call_back(self._flights.values())
            is_open = time.monotonic() < closing
            taken = self._take_off(self._in_flight - len(self._flights)) if is_open else 0
            if not self._flights and not taken:
                return
            self._land()
            if time.monotonic() >= renew_at:
                self._keep_leases()
                self._process.keep_alive()
                renew_at = time.monotonic() + _RENEW_EVERY_S

    # --- asking -------------------------------------------------------------------------------------------

    def _take_off(self, room: int) -> int:
        """Claim up to `room` items and send their questions. Returns how many were claimed."""
        departing: list[tuple[WorkItem, Call, Prompt]] = []
        with self._sessions.begin() as session:
            items: list[WorkItem] = []
            for stage, _ in _STAGES:
                if room > len(items):
                    items += claim(session, stage, room - len(items), self._process.owner)
            if not items:
                return 0
            mark_started(session, {item.run_id for item in items})
            for item in items:
                departing += self._prepare(session, item)
            tell(session, {item.run_id for item in items})
        for item, call, prompt in departing:
            self._send(item, call, prompt)
        self._complete()
        return len(items)

    def _prepare(self, session: Session, item: WorkItem) -> list[tuple[WorkItem, Call, Prompt]]:
        """The call to send for `item`, if one is needed."""
        handler = self._handlers[Stage(item.stage)]
        try:
            with session.begin_nested():
                question = handler.prepare(session, item)
        except DomainError as error:
            fail(session, item, "not_prepared", str(error))
            return []
        if isinstance(question, Answered):
            self._record(session, item, record_offline(session, item, question))
            return []
        if item.error_code is not None and item.error_detail is not None and usable_tries(session, item):
            question = again(question, item.error_detail)
        return self._open(session, item, question)

    def _open(self, session: Session, item: WorkItem, prompt: Prompt) -> list[tuple[WorkItem, Call, Prompt]]:
        run = session.get_one(Run, item.run_id)
        model = str(run.params[_MODEL_OF[Stage(item.stage)]])
        rate = rate_of(session, model)
        if rate is None and run.budget_micro is not None:
            hold_run(session, run.id, f"price of {model} is unknown, and the run has a budget")
            put_back(session, item)
            return []
        call = open_call(session, item, prompt, model, rate)
        if not reserve(session, run.id, call.reserved_micro):
            session.delete(call)
            hold_run(session, run.id, "budget")
            put_back(session, item, refund=True)
            return []
        return [(item, call, prompt)]

    def _send(self, item: WorkItem, call: Call, prompt: Prompt) -> None:
        future = asyncio.run_coroutine_threadsafe(self._ask(prompt, call.model), self._loop)
        self._flights[call.id] = _Flight(item, call, future)
        future.add_done_callback(lambda _, call_id=call.id: self._landed.put(call_id))

    async def _ask(self, prompt: Prompt, model: str) -> _Answer:
        started = time.monotonic()
        reply: Reply | ProviderError
        try:
            reply = await self._client.ask(prompt, model)
        except ProviderError as error:
            reply = error
        return _Answer(reply, int((time.monotonic() - started) * 1000))

    # --- recording ----------------------------------------------------------------------------------------

    def _land(self) -> None:
        """Record the replies that have come in, as a group. While the database is away they wait here."""
        self._wait_for_replies()
        group = self._ready[:_GROUP]
        if not group:
            return
        with self._sessions.begin() as session:
            calls = session.scalars(select(Call).where(Call.id.in_(group)).with_for_update())
            for call in calls:
                self._close(session, self._flights[call.id], call)
            tell(session, {self._flights[call_id].item.run_id for call_id in group})
        del self._ready[:_GROUP]
        for call_id in group:
            del self._flights[call_id]
        self._complete()

    def _wait_for_replies(self) -> None:
        if not self._flights:
            return
        try:
            if not self._ready:
                self._ready.append(self._landed.get(timeout=0.2))
            while True:
                self._ready.append(self._landed.get_nowait())
        except Empty:
            return

    def _close(self, session: Session, flight: _Flight, call: Call) -> None:
        try:
            answer = flight.future.result()
        except CancelledError:  # what the provider did with it nobody knows
            gone = ProviderError(
                Failure.TRANSIENT, "called_back", "its worker gave it up", may_be_billed=True
            )
            close_failed_call(session, call, gone, 0)
            self._unless_lost(session, flight.item, lambda: put_back(session, flight.item))
            return
        if isinstance(answer.reply, ProviderError):
            close_failed_call(session, call, answer.reply, answer.latency_ms)
            self._after_failure(session, flight.item, answer.reply)
            return
        close_call(session, call, answer.reply, rate_of(session, call.model), answer.latency_ms)
        if call.cost_micro > call.reserved_micro and rate_of(session, call.model) is not None:
            hold_run(session, call.run_id, f"call {call.id} was billed above its upper bound")
        self._record(session, flight.item, call)

    def _record(self, session: Session, item: WorkItem, call: Call) -> None:
        """Let the stage keep the reply, and close the item with it; all of it, or nothing but the raw reply."""
        handler = self._handlers[Stage(item.stage)]
        try:
            with session.begin_nested():
                finish(session, item, handler.record(session, item, call))
        except Unparsable as error:
            self._after_unusable(session, item, call, error)
        except LeaseLost:
            _log.info("late_result_ignored", item_id=item.id)
        except DomainError as error:
            why = str(error)
            self._unless_lost(session, item, lambda: fail(session, item, "not_recorded", why))

    def _after_unusable(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> None:
        def give_up() -> None:
            finish(session, item, self._handlers[Stage(item.stage)].give_up(session, item, call, error))

        def ask_again() -> None:
            put_back(session, item, why=(error.code, str(error)))

        final = error.is_final or usable_tries(session, item) >= _USABLE_TRIES
        self._unless_lost(session, item, give_up if final else ask_again)

    def _after_failure(self, session: Session, item: WorkItem, error: ProviderError) -> None:
        why = (error.code, error.detail)

        def act() -> None:
            if error.failure is Failure.FATAL:
                put_back(session, item, refund=True, why=why)
                hold_run(session, item.run_id, f"{error.code}: {error.detail}")
            elif error.failure is Failure.RATE_LIMITED:
                put_back(session, item, seconds=error.retry_after or _jitter(1), refund=True, why=why)
            elif error.failure is Failure.PERMANENT or item.attempts >= _MOST_CALLS:
                fail(session, item, *why)
            else:
                put_back(session, item, seconds=error.retry_after or _jitter(item.attempts), why=why)

        self._unless_lost(session, item, act)

    def _unless_lost(self, session: Session, item: WorkItem, act: Callable[[], None]) -> None:
        try:
            with session.begin_nested():
                act()
        except LeaseLost:
            _log.info("late_result_ignored", item_id=item.id)

    # --- keeping ------------------------------------------------------------------------------------------

    def _keep_leases(self) -> None:
        """Prolong what is in flight, in one statement; call back what is no longer ours."""
        flights = list(self._flights.values())
        with self._sessions.begin() as session:
            ours = renew(session, [flight.item for flight in flights])
        self._call_back(flight for flight in flights if flight.item.id not in ours)

    def _call_back(self, flights: Iterable[_Flight]) -> None:
        for flight in flights:
            flight.future.cancel()

    def _complete(self) -> None:
        with self._sessions.begin() as session:
            complete_runs(session)


def _jitter(attempt: int) -> float:
    """Seconds to wait before another try: full jitter, doubling, at most a minute."""
    return random.uniform(0, min(60.0, 0.5 * 2**attempt))

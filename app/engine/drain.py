"""The drain loop: claim, ask, record, with many calls in flight and no transaction open across any of them.

Two threads for a process. The asyncio loop holds the calls; a call that lands frees its place there for the next
question, which has been claimed, prepared and paid for ahead. The other thread talks to the database, in groups and
a few times a second, so that the calls never wait for it. It outlives the slices: a slice only says how long it may
claim, so that calls still in flight at its end do not keep the next one waiting.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from app.engine.asking import take_off
from app.engine.goals import steer
from app.engine.handlers import Handlers
from app.engine.items import renew, seconds_until_due
from app.engine.pace import Pace
from app.engine.process import Process
from app.engine.recording import CalledBack, Landed, land
from app.engine.runs import cancel_stragglers, complete_runs, hold_run
from app.llm.client import Client, Failure, Limits, ProviderError
from app.llm.limiter import Limiter
from app.pipeline import MODEL_STAGES, RunState
from app.prompting.prompt import Prompt
from app.storage.faults import AWAY, server_fault
from app.storage.tables import RateLimit, Run, WorkItem

_QUIET_S = 0.5  # the longest sleep while there is something to wait for
_LINGER_S = 5.0  # a try that is due sooner is waited for; the clock's tick finds the others
_RENEW_EVERY_S = 5.0
_LIMITS_KEPT_S = 5.0
_GRACE_S = 4.0  # for replies after a stop was asked for; the supervisor kills after eight
_CLAIMS_A_TURN = 3
_GROUP = 256  # replies recorded in one transaction
_DOWN_AFTER_S = 180.0  # without any success

_log = structlog.get_logger()


@dataclass
class _Flight:
    """A call from its departure to its landing. Only the loop's thread changes it."""

    item: WorkItem
    call_id: int
    model: str
    prompt: Prompt
    limits: Limits
    task: "asyncio.Task[Landed] | None" = None
    was_sent: bool = False


class Drain:
    """Works on model items for one process."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        handlers: Handlers,
        client: Client,
        limiter: Limiter,
        loop: asyncio.AbstractEventLoop,
        process: Process,
        in_flight: int,
    ) -> None:
        """`loop` runs in another thread; `in_flight` is the most calls at a time."""
        self._sessions = sessions
        self._handlers = handlers
        self._client = client
        self._limiter = limiter
        self._loop = loop
        self._process = process
        self._places = asyncio.Semaphore(in_flight)
        self._pace = Pace(in_flight)
        self._flights: dict[int, _Flight] = {}  # by call, until its landing is recorded
        self._landed: SimpleQueue[Landed] = SimpleQueue()
        self._unrecorded: list[Landed] = []
        self._untidy: set[int] = set()  # runs of which something has ended
        self._limits: dict[str, Limits] = {}
        self._limits_read_at = self._renew_at = 0.0
        self._stop_at: float | None = None
        self._thread: threading.Thread | None = None
        self._asked = self._served = (
            0  # slices that were asked for, and the last that found nothing more to do
        )
        self._changed = threading.Condition()
        self._claim_until = 0.0
        self._closing = False

    # --- slices -------------------------------------------------------------------------------------------

    def work(self, seconds: float) -> None:
        """Claim for up to `seconds`, or until nothing is due soon and everything has landed.

        What is in flight when the time is over lands behind the caller's back. When the process is asked to stop,
        replies have a few seconds to come; later ones are given up, and their items go back into the queue.
        """
        with self._changed:
            self._asked += 1
            mine = self._asked
            self._claim_until = time.monotonic() + seconds
            self._start()
            self._changed.notify_all()
        while time.monotonic() < self._claim_until or self._process.is_stopping():
            with self._changed:
                if self._changed.wait_for(lambda: self._served >= mine, timeout=_QUIET_S):
                    return
                if self._thread is None or not self._thread.is_alive():
                    raise RuntimeError("the drain's thread has ended; its fault is in the log")

    def close(self) -> None:
        """Land what is in flight, or call it back after the grace, and end. Closes the client and the limiter, too."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_GRACE_S + 3)
        for done in (self._limiter.close(), self._client.close()):
            asyncio.run_coroutine_threadsafe(done, self._loop).result(_GRACE_S)

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="drain", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while self._turn_until_quiet():
            pass

    def _turn_until_quiet(self) -> bool:
        """Take turns until there is nothing more to do, then sleep until the next slice. False: the end."""
        asked = self._asked
        while self._turn():
            asked = self._asked
        with self._changed:
            self._served = asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closing or self._asked > asked)
        return not self._closing

    # --- turns --------------------------------------------------------------------------------------------

    def _turn(self) -> bool:
        """Record what has landed, send what there is room for. Whether there is anything to wait for."""
        began = time.monotonic()
        try:
            self._notice_stop()
            self._collect()
            self._pace.begin_turn(landed=len(self._unrecorded))
            claimed = self._take_off() if self._may_claim() else 0
            self._record_landed()
            self._tidy()
            if began >= self._renew_at:
                self._renew_at = began + _RENEW_EVERY_S
                self._keep()
            if not claimed and not self._flights:
                return self._wait_until_due()
        except (OperationalError, InterfaceError) as error:
            # Replies wait in memory meanwhile, and nothing is claimed.
            fault = server_fault(error) or AWAY
            _log.warning(
                "database_away" if fault.kind == AWAY.kind else "database_refuses",
                why=fault.says,
                error=str(error).splitlines()[0],
                waiting=len(self._unrecorded),
            )
            time.sleep(_QUIET_S)
            return not self._is_past_grace()
        self._wait_for_landings(began)
        return True

    def _may_claim(self) -> bool:
        return (
            time.monotonic() < self._claim_until
            and self._stop_at is None
            and not any(_holds_its_run(one) for one in self._unrecorded)
        )

    def _notice_stop(self) -> None:
        """From the first turn that sees it replies have the grace to come; then what is in the air is called back."""
        if self._stop_at is None and (self._closing or self._process.is_stopping()):
            self._stop_at = time.monotonic()
        if self._is_past_grace():
            self._call_back(self._flights.values())

    def _is_past_grace(self) -> bool:
        return self._stop_at is not None and time.monotonic() > self._stop_at + _GRACE_S

    def _record_landed(self) -> None:
        """What had landed when the turn began: what lands meanwhile must not keep its place empty for longer."""
        while self._unrecorded:
            group = self._unrecorded[:_GROUP]
            self._land(group)
            del self._unrecorded[:_GROUP]
            for one in group:
                del self._flights[one.call_id]
            self._untidy |= {one.item.run_id for one in group}

    def _land(self, group: Sequence[Landed]) -> None:
        """Record a group; one that the database refuses must not keep the others in memory for ever."""
        try:
            with self._sessions.begin() as session:
                land(session, self._handlers, group)
        except (OperationalError, InterfaceError):
            raise
        except DBAPIError as fault:
            if len(group) == 1 and isinstance(group[0].outcome, ProviderError):
                raise
            _log.error("landing_fault", calls=[one.call_id for one in group], exc_info=fault)
            for one in group:
                self._land([one._replace(outcome=_unrecordable(fault)) if len(group) == 1 else one])

    def _collect(self) -> None:
        try:
            while True:
                self._unrecorded.append(self._landed.get_nowait())
        except Empty:
            return

    def _take_off(self) -> int:
        """Claim and send as much as there is room for. Returns how many items were claimed.

        What ends without a call leaves its room to others, a few times over: the turn has more to do.
        """
        claimed = 0
        for _ in range(_CLAIMS_A_TURN):
            room = self._pace.room(self._in_the_air, landed=len(self._unrecorded))
            if not room:
                break
            taken = self._claim(room)
            claimed += taken
            if taken < room:
                break
        return claimed

    def _claim(self, room: int) -> int:
        with self._sessions.begin() as session:
            taken = take_off(session, self._handlers, self._process.owner, room)
            limits = self._limits_now(session) if taken.departures else {}
        flights = [
            _Flight(one.item, one.call.id, one.call.model, one.prompt, limits.get(one.call.model, Limits()))
            for one in taken.departures
        ]
        self._flights |= {flight.call_id: flight for flight in flights}
        if flights:
            self._loop.call_soon_threadsafe(self._send, flights)
        if taken.claimed > len(flights):  # some ended without a call
            self._untidy |= taken.run_ids
        return taken.claimed

    @property
    def _in_the_air(self) -> int:
        return len(self._flights) - len(self._unrecorded)

    def _wait_until_due(self) -> bool:
        """With nothing in flight: wait a little for a try that is due soon. Whether there is one."""
        left = self._claim_until - time.monotonic()
        if left <= 0 or self._stop_at is not None:
            return False
        with self._sessions() as session:
            due = seconds_until_due(session, MODEL_STAGES)
        if due is None or due > min(left, _LINGER_S):
            return False
        time.sleep(min(max(due, 0.01), _QUIET_S))
        return True

    def _wait_for_landings(self, began: float) -> None:
        """Sleep until something has landed and the turn is over, or at once when nothing is in the air."""
        try:
            if not self._unrecorded and self._landed.empty():
                self._unrecorded.append(self._landed.get(timeout=_QUIET_S if self._flights else 0))
        except Empty:
            return
        self._collect()
        if self._in_the_air:
            time.sleep(max(0.0, began + self._pace.turn_s(self._in_the_air) - time.monotonic()))

    def _tidy(self) -> None:
        """Once a turn: let go what goals miss, and close the runs whose last items have ended."""
        if not self._untidy:
            return
        with self._sessions.begin() as session:
            steer(session, self._untidy)
            complete_runs(session)
            cancel_stragglers(session)
        self._untidy.clear()

    # --- calls: in the loop's thread ----------------------------------------------------------------------

    def _send(self, flights: Iterable[_Flight]) -> None:
        for flight in flights:
            flight.task = self._loop.create_task(self._ask(flight))
            flight.task.add_done_callback(self._lander(flight))

    async def _ask(self, flight: _Flight) -> Landed:
        async with (
            self._places,
            self._limiter.slot(flight.model, _tokens(flight.prompt), flight.limits) as slot,
        ):
            flight.was_sent = True
            started = time.monotonic()
            try:
                outcome = await self._client.ask(flight.prompt, flight.model)
            except ProviderError as error:
                outcome = error
                if error.failure is Failure.FATAL:
                    self._cancel_unsent(flight.item.run_id)
            slot.report(outcome)
        return Landed(flight.call_id, flight.item, outcome, int((time.monotonic() - started) * 1000))

    def _lander(self, flight: _Flight) -> "Callable[[asyncio.Task[Landed]], None]":
        def landed(task: "asyncio.Task[Landed]") -> None:
            if task.cancelled():
                outcome: CalledBack | ProviderError = CalledBack(flight.was_sent)
            elif (fault := task.exception()) is not None:
                _log.error("call_fault", call_id=flight.call_id, exc_info=fault)
                outcome = ProviderError(
                    Failure.TRANSIENT, "call_fault", repr(fault), may_be_billed=flight.was_sent
                )
            else:
                self._landed.put(task.result())
                return
            self._landed.put(Landed(flight.call_id, flight.item, outcome, 0))

        return landed

    def _cancel_unsent(self, run_id: int) -> None:
        """The run is about to be held: what has not left need not find that out again."""
        flights = list(self._flights.values())
        self._cancel([one for one in flights if one.item.run_id == run_id and not one.was_sent])

    def _cancel(self, flights: Sequence[_Flight]) -> None:
        for flight in flights:
            if flight.task is not None:
                flight.task.cancel()

    # --- keeping ------------------------------------------------------------------------------------------

    def _call_back(self, flights: Iterable[_Flight]) -> None:
        self._loop.call_soon_threadsafe(self._cancel, list(flights))

    def _keep(self) -> None:
        """Prolong leases in one statement; call back what is no longer ours, and what a held run has not sent."""
        flights = list(self._flights.values())
        if flights:
            with self._sessions.begin() as session:
                ours = renew(session, [flight.item for flight in flights])
                self._hold_where_provider_is_down(session, flights)
                going = set(
                    session.scalars(
                        select(Run.id).where(
                            Run.id.in_({flight.item.run_id for flight in flights}),
                            Run.state.in_((RunState.QUEUED, RunState.RUNNING)),
                        )
                    )
                )
            self._call_back(
                flight
                for flight in flights
                if flight.item.id not in ours or not (flight.was_sent or flight.item.run_id in going)
            )
        self._process.keep_alive()

    def _hold_where_provider_is_down(self, session: Session, flights: Iterable[_Flight]) -> None:
        for model in {flight.model for flight in flights}:
            state = self._limiter.state(model)
            if state is not None and state.without_success_s > _DOWN_AFTER_S:
                reason = f"provider down: {model} has answered nothing for {state.without_success_s:.0f} s"
                for run_id in sorted({one.item.run_id for one in flights if one.model == model}):
                    hold_run(session, run_id, reason)

    def _limits_now(self, session: Session) -> dict[str, Limits]:
        """What people have set, read again every few seconds."""
        if time.monotonic() > self._limits_read_at + _LIMITS_KEPT_S:
            rows = session.scalars(select(RateLimit))
            self._limits = {row.model: Limits(row.requests_per_minute, row.tokens_per_minute) for row in rows}
            self._limits_read_at = time.monotonic()
        return self._limits


def _holds_its_run(landed: Landed) -> bool:
    """Its run is about to be held: nothing more of it may be claimed before that is recorded."""
    return isinstance(landed.outcome, ProviderError) and landed.outcome.failure is Failure.FATAL


def _unrecordable(fault: DBAPIError) -> ProviderError:
    detail = f"the reply could not be recorded: {fault.orig}"
    return ProviderError(Failure.PERMANENT, "not_recorded", detail, may_be_billed=True)


def _tokens(prompt: Prompt) -> int:
    """About what a provider counts against its tokens per minute: four bytes a token, and all that may come back."""
    return (len(prompt.system) + len(prompt.user)) // 4 + prompt.max_output_tokens

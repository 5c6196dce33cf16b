"""The drain loop: claim, ask, record, with many calls in flight and no transaction open across any of them.

Two threads for a process. The asyncio loop holds the calls; a call that lands frees its place there for the next
question, which has been claimed, prepared and paid for ahead. The other thread talks to the database, in groups and
a few times a second, so that the calls never wait for it. It outlives the slices: a slice only says how long it may
claim, so that calls still in flight at its end do not keep the next one waiting.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.engine.departing import Departures
from app.engine.goals import steer
from app.engine.handlers import Handlers
from app.engine.items import renew, seconds_until_due
from app.engine.landing import Landings
from app.engine.pace import Pace, Places
from app.engine.process import Process
from app.engine.recording import CalledBack, Landed
from app.engine.runs import cancel_stragglers, complete_runs, hold_run
from app.llm.client import Client, Failure, Limits, ProviderError
from app.llm.limiter import Limiter
from app.pipeline import MODEL_STAGES, RunState
from app.prompting.prompt import Prompt
from app.storage.faults import Refusal, refusal_of, words_of
from app.storage.tables import RateLimit, Run, WorkItem

_QUIET_S = 0.5  # the longest sleep while there is something to wait for
_LINGER_S = 5.0  # a try that is due sooner is waited for; the clock's tick finds the others
_RENEW_EVERY_S = 5.0
_LIMITS_KEPT_S = 5.0
_GRACE_S = 4.0  # for replies after a stop was asked for; the supervisor kills after eight
_CLAIMS_A_TURN = 3
_FAULT_PAUSES_S = (1.0, 30.0)  # of a step that failed: the first, and the longest
_DOWN_AFTER_S = 180.0  # without any success

_log = structlog.get_logger()


class _NothingGoes(Exception):
    """The database is away, or takes nothing from anybody."""

    def __init__(self, why: Refusal, said: str) -> None:
        super().__init__(said)
        self.why = why


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
        """`loop` runs in another thread; `in_flight` is the most calls of one model at a time."""
        self._sessions = sessions
        self._client = client
        self._limiter = limiter
        self._loop = loop
        self._process = process
        self._places = Places(in_flight)
        self._in_the_air: dict[str, asyncio.Semaphore] = {}  # by model; only the loop's thread uses it
        self._departures = Departures(sessions, handlers, process.owner)
        self._landings = Landings(sessions, handlers)
        self._flights: dict[int, _Flight] = {}  # by call, until its landing is recorded
        self._landed: SimpleQueue[Landed] = SimpleQueue()
        self._pauses: dict[str, tuple[float, float]] = {}  # of steps that failed: until when, and how long
        self._untidy: set[int] = set()  # runs of which something has ended
        self._limits: dict[str, Limits] = {}
        self._limits_read_at = -_LIMITS_KEPT_S
        self._renew_at = 0.0
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
        while True:
            try:
                while self._turn_until_quiet():
                    pass
            except Exception as fault:  # noqa: BLE001 - what it holds stays in hand, and it begins anew
                with suppress(OSError):  # a full disk, for instance, takes no log either
                    _log.critical("drain_fault", in_hand=len(self._flights), exc_info=fault)
                time.sleep(_FAULT_PAUSES_S[0])
            else:
                return

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
        """Record what has landed, send what there is room for. Whether there is anything to wait for.

        A step that fails is tried again after a pause, and the others go on meanwhile.
        """
        began = time.monotonic()
        try:
            self._notice_stop()
            self._collect()
            waiting = self._landings.waiting
            self._places.begin_turn(Counter(self._flights[one.call_id].model for one in waiting))
            self._step(self._read_limits)
            self._step(self._send_claimed)
            claimed = self._step(self._take_off) if self._may_claim() else 0
            self._step(self._record_landed)
            self._step(self._tidy)
            if began >= self._renew_at:
                self._renew_at = began + _RENEW_EVERY_S
                self._step(self._keep)
            if not claimed and not self._flights and not self._departures.held:
                return bool(self._step(self._wait_until_due))
        except _NothingGoes as refused:
            # Replies wait in memory meanwhile, and nothing is claimed.
            _log.warning("database_" + refused.why, error=str(refused), waiting=len(self._flights))
            time.sleep(_QUIET_S)
            return not self._is_past_grace()
        self._wait_for_landings(began)
        return not (self._is_past_grace() and len(self._landings.aside) == len(self._flights))

    def _step(self, step: Callable[[], int | None]) -> int:
        """Take one step of a turn, unless it has failed a moment ago. Raises `_NothingGoes` where all have to wait."""
        until, pause = self._pauses.get(step.__name__, (0.0, 0.0))
        if time.monotonic() < until:
            return 0
        try:
            made = step()
        except _NothingGoes:  # of a step within this one
            raise
        except Exception as fault:
            refusal = refusal_of(fault)
            if refusal in (Refusal.AWAY, Refusal.CLOSED):
                raise _NothingGoes(refusal, words_of(fault)) from fault
            first, longest = _FAULT_PAUSES_S
            pause = min(longest, pause * 2 or first)
            self._pauses[step.__name__] = (time.monotonic() + pause, pause)
            _log.error("step_failed", step=step.__name__, refusal=refusal, again_in_s=pause, exc_info=fault)
            return 0
        self._pauses.pop(step.__name__, None)
        return made or 0

    def _may_claim(self) -> bool:
        return time.monotonic() < self._claim_until and self._stop_at is None

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
        for one in self._landings.record():
            del self._flights[one.call_id]
            self._untidy.add(one.item.run_id)

    def _collect(self) -> None:
        landed: list[Landed] = []
        try:
            while True:
                landed.append(self._landed.get_nowait())
        except Empty:
            self._landings.add(landed)

    def _take_off(self) -> int:
        """Claim and send as much as there is room for. Returns how many items were claimed.

        What ends without a call leaves its room to others, a few times over: the turn has more to do.
        """
        claimed = 0
        about_to_be_held = {one.item.run_id for one in self._landings.waiting if _holds_its_run(one)}
        for _ in range(_CLAIMS_A_TURN):
            air, landed = self._open_by_model()
            room = partial(self._places.room, in_the_air=air, landed=landed)
            taken = self._departures.claim(room, besides=about_to_be_held)
            self._send_claimed()
            claimed += sum(taken.values())
            if not any(number == room(model) for model, number in taken.items()):
                break
        return claimed

    def _send_claimed(self) -> None:
        for departures, ended in self._departures.take_off():
            self._untidy |= ended
            flights = [
                _Flight(
                    one.item,
                    one.call.id,
                    one.call.model,
                    one.prompt,
                    self._limits.get(one.call.model, Limits()),
                )
                for one in departures
            ]
            self._flights |= {flight.call_id: flight for flight in flights}
            if flights:
                self._loop.call_soon_threadsafe(self._send, flights)

    def _open_by_model(self) -> tuple[Counter[str], Counter[str]]:
        """How many calls of each model are in the air, and how many have landed and wait to be recorded."""
        waiting = [*self._landings.waiting, *self._landings.aside]
        landed = Counter(self._flights[one.call_id].model for one in waiting)
        return Counter(one.model for one in self._flights.values()) - landed, landed

    @property
    def _number_in_the_air(self) -> int:
        return len(self._flights) - len(self._landings.waiting) - len(self._landings.aside)

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
            if not self._landings.waiting and self._landed.empty():
                is_waiting = self._flights or self._departures.held
                self._landings.add([self._landed.get(timeout=_QUIET_S if is_waiting else 0)])
        except Empty:
            return
        self._collect()
        if in_the_air := self._number_in_the_air:
            time.sleep(max(0.0, began + Pace.turn_s(in_the_air) - time.monotonic()))

    def _tidy(self) -> None:
        """Once a turn: let go what goals miss, and close the runs whose last items have ended."""
        run_ids = sorted(self._untidy)
        if not run_ids:
            return
        try:
            self._close_runs(run_ids)
        except Exception as fault:
            if len(run_ids) == 1 or refusal_of(fault) in (Refusal.AWAY, Refusal.CLOSED):
                raise
            self._tidy_in_turn(run_ids)
        self._untidy.difference_update(run_ids)

    def _tidy_in_turn(self, run_ids: Iterable[int]) -> None:
        """One of them failed: it must not keep the others open. The sweeper comes by for it again."""
        for run_id in run_ids:
            try:
                self._close_runs([run_id])
            except Exception as fault:
                if refusal_of(fault) in (Refusal.AWAY, Refusal.CLOSED):
                    raise
                _log.error("run_not_tidied", run_id=run_id, exc_info=fault)

    def _close_runs(self, run_ids: Sequence[int]) -> None:
        with self._sessions.begin() as session:
            steer(session, run_ids)
            complete_runs(session)
            cancel_stragglers(session)

    # --- calls: in the loop's thread ----------------------------------------------------------------------

    def _send(self, flights: Iterable[_Flight]) -> None:
        for flight in flights:
            flight.task = self._loop.create_task(self._ask(flight))
            flight.task.add_done_callback(self._lander(flight))

    async def _ask(self, flight: _Flight) -> Landed:
        places = self._in_the_air.setdefault(flight.model, asyncio.Semaphore(self._places.of_a_model))
        async with (
            places,
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
        held = [flight.item for flight in flights] + self._departures.held
        if held:
            with self._sessions.begin() as session:
                ours = renew(session, held)
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
        self._step(self._hold_where_provider_is_down)
        self._step(self._keep_alive)

    def _keep_alive(self) -> None:
        self._process.keep_alive()

    def _hold_where_provider_is_down(self) -> None:
        reasons: dict[int, str] = {}
        flights = list(self._flights.values())
        for model in {flight.model for flight in flights}:
            state = self._limiter.state(model)
            if state is not None and state.without_success_s > _DOWN_AFTER_S:
                reason = f"provider down: {model} has answered nothing for {state.without_success_s:.0f} s"
                reasons |= {one.item.run_id: reason for one in flights if one.model == model}
        for run_id, reason in sorted(reasons.items()):
            with self._sessions.begin() as session:
                hold_run(session, run_id, reason)

    def _read_limits(self) -> None:
        """What people have set, read again every few seconds."""
        if time.monotonic() < self._limits_read_at + _LIMITS_KEPT_S:
            return
        with self._sessions.begin() as session:
            rows = session.scalars(select(RateLimit))
            self._limits = {row.model: Limits(row.requests_per_minute, row.tokens_per_minute) for row in rows}
        self._limits_read_at = time.monotonic()


def _holds_its_run(landed: Landed) -> bool:
    """Its run is about to be held: nothing more of it may be claimed before that is recorded."""
    return isinstance(landed.outcome, ProviderError) and landed.outcome.failure is Failure.FATAL


def _tokens(prompt: Prompt) -> int:
    """About what a provider counts against its tokens per minute: four bytes a token, and all that may come back."""
    return (len(prompt.system) + len(prompt.user)) // 4 + prompt.max_output_tokens

"""The gate before every call: one for a provider, key and model, shared by all workers through Redis.

Requests and tokens a minute that are known are paced evenly; what is not known is found out from the provider's
"too many": fewer calls in flight when more than a stray one comes, slowly more again. Where nothing succeeds, calls
go in small groups with pauses that double; a provider that fails for long is only probed. All arithmetic is one Lua script on Redis' clock; nothing here has to survive a flush.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import structlog
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from app.llm.client import Failure, Limits, ProviderError
from app.llm.headers import LONGEST_WAIT_S
from app.prompting.prompt import Reply
from app.settings import settings

_SCRIPT = (Path(__file__).parent / "limiter.lua").read_text()
_TURN_GAP_S = 0.01  # turns take what has gathered meanwhile
_REPORT_EVERY_S = 1.0  # while calls are in flight, also when nobody waits
_OPEN_FOR_S = 2.0  # how long an open gate is trusted without asking again
_WITHOUT_REDIS = 4  # calls in flight of a process while there is no gate to ask
_LONGEST_PAUSE_S = 30.0  # without Redis, where nothing succeeds
_REDIS_TIMEOUT_S = 2.0
_REDIS_AGAIN_S = 1.0
_UNKNOWN = Limits()

_log = structlog.get_logger()


class LimiterState(NamedTuple):
    """A gate as it stood at the last turn of any process."""

    in_flight: int
    ceiling: int | None  # the most in flight for now; None: nothing holds back
    blocked_s: float  # nobody may go for so long: the provider said so
    without_success_s: float  # since the first failure after the last success
    throttled_share: float  # of the last twenty or so calls
    is_probing: bool  # the circuit is broken: one call every few seconds


class Slot:
    """Leave to send one call."""

    def __init__(self) -> None:
        self.outcome: Reply | ProviderError | None = None

    def report(self, outcome: Reply | ProviderError) -> None:
        """Say what came of the call: the gate learns from it."""
        self.outcome = outcome


@dataclass
class _Outcomes:
    successes: int = 0
    throttled: int = 0
    failures: int = 0
    retry_after_s: float = 0.0

    def add(self, outcome: Reply | ProviderError) -> None:
        if isinstance(outcome, Reply):
            self.successes += 1
        elif outcome.failure is Failure.RATE_LIMITED:
            self.throttled += 1
            self.retry_after_s = max(self.retry_after_s, min(outcome.retry_after or 0.0, LONGEST_WAIT_S))
        elif outcome.failure is Failure.TRANSIENT:
            self.failures += 1
        else:  # a refusal is an answer: the provider is there
            self.successes += 1


@dataclass
class _Gate:
    """This process's side of one model's gate. Only its loop touches it."""

    model: str
    limits: Limits = _UNKNOWN
    said: Limits = _UNKNOWN  # by the provider
    in_flight: int = 0
    waiting: "deque[tuple[int, asyncio.Future[None]]]" = field(default_factory=deque)
    outcomes: _Outcomes = field(default_factory=_Outcomes)
    state: LimiterState | None = None
    asked_at: float = 0.0  # of the last turn that Redis answered
    setbacks: int = 0  # calls without success in a row
    pause_until: float = 0.0  # after setbacks; only heeded while there is no Redis
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    pump: "asyncio.Task[None] | None" = None

    @property
    def known(self) -> Limits:
        """What people have set comes before what the provider says."""
        return Limits(
            self.limits.requests_per_minute or self.said.requests_per_minute,
            self.limits.tokens_per_minute or self.said.tokens_per_minute,
        )

    @property
    def is_open(self) -> bool:
        """Nothing holds anybody back, as far as was heard lately: no need to ask for each call."""
        state = self.state
        return (
            state is not None
            and time.monotonic() < self.asked_at + _OPEN_FOR_S
            and self.known == _UNKNOWN
            and state.ceiling is None
            and not (state.blocked_s or state.is_probing or self.waiting)
        )


class Limiter:
    """The gates of one process. Use it from one loop; `state` may be read from any thread."""

    def __init__(self, redis_url: str, provider: str, process: str) -> None:
        """`provider` names the account (see `Settings`), `process` this process among all that share it."""
        self._redis = AsyncRedis.from_url(
            redis_url, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S
        )
        self._turn_script = self._redis.register_script(_SCRIPT)
        self._provider = provider
        self._process = process
        self._gates: dict[str, _Gate] = {}
        self._redis_again_at = 0.0
        self._is_closing = False

    @asynccontextmanager
    async def slot(self, model: str, tokens: int, limits: Limits) -> AsyncGenerator[Slot]:
        """Wait for leave to send one call of about `tokens`, and hold it for as long as the call takes."""
        gate = self._gate(model)
        gate.limits = limits
        if gate.is_open:
            gate.in_flight += 1
        else:
            await self._queue_at(gate, tokens)
        slot = Slot()
        try:
            yield slot
        finally:
            gate.in_flight -= 1
            if slot.outcome is not None:
                gate.outcomes.add(slot.outcome)
                _remember(gate, slot.outcome)
                if isinstance(slot.outcome, Reply):
                    reply = slot.outcome
                    gate.said = Limits(
                        reply.requests_per_minute or gate.said.requests_per_minute,
                        reply.tokens_per_minute or gate.said.tokens_per_minute,
                    )
            if gate.waiting or isinstance(slot.outcome, ProviderError):
                gate.wake.set()

    def state(self, model: str) -> LimiterState | None:
        """How the gate stood when this process last asked; None before that."""
        gate = self._gates.get(model)
        return gate.state if gate else None

    async def close(self) -> None:
        self._is_closing = True  # the client may swallow a cancellation that meets its own timeout
        pumps = [gate.pump for gate in self._gates.values() if gate.pump is not None]
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self._gates.clear()
        await self._redis.aclose()

    def _gate(self, model: str) -> _Gate:
        if model not in self._gates:
            gate = self._gates[model] = _Gate(model)
            gate.pump = asyncio.get_running_loop().create_task(self._pump(gate))
        return self._gates[model]

    async def _queue_at(self, gate: _Gate, tokens: int) -> None:
        leave: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gate.waiting.append((tokens, leave))
        gate.wake.set()
        try:
            await leave
        except asyncio.CancelledError:
            if leave.done() and not leave.cancelled():  # leave was given, but nobody is there to use it
                gate.in_flight -= 1
            raise

    async def _pump(self, gate: _Gate) -> None:
        """Ask for those that wait, and say what came back: one turn at a time, for as long as the process lives."""
        wait: float | None = None
        while not self._is_closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await gate.wake.wait()
            gate.wake.clear()
            wait = await self._turn(gate)
            await asyncio.sleep(_TURN_GAP_S)

    async def _turn(self, gate: _Gate) -> float | None:
        """One turn. Returns the seconds after which the next is worth while; None: not until somebody comes."""
        while gate.waiting and gate.waiting[0][1].done():  # called back meanwhile
            gate.waiting.popleft()
        if time.monotonic() < self._redis_again_at:
            return self._turn_without_redis(gate)
        outcomes, gate.outcomes = gate.outcomes, _Outcomes()
        known = gate.known
        try:
            answer: list[int] = await self._turn_script(
                keys=keys_of(self._provider, gate.model),
                args=[
                    self._process,
                    gate.in_flight,
                    outcomes.successes,
                    outcomes.throttled,
                    outcomes.failures,
                    int(outcomes.retry_after_s * 1000),
                    known.requests_per_minute or 0,
                    known.tokens_per_minute or 0,
                    *(tokens for tokens, _ in list(gate.waiting)[:256]),
                ],
            )
        except (RedisError, OSError) as error:
            _log.warning("limiter_without_redis", error=str(error), in_flight=_WITHOUT_REDIS)
            self._redis_again_at = time.monotonic() + _REDIS_AGAIN_S
            return self._turn_without_redis(gate)
        gate.asked_at = time.monotonic()
        gate.state = _state_of(answer)
        self._let_go(gate, answer[0])
        if gate.waiting:
            return min(answer[1] / 1000, _REPORT_EVERY_S)
        return _REPORT_EVERY_S if gate.in_flight or gate.outcomes != _Outcomes() else None

    def _turn_without_redis(self, gate: _Gate) -> float:
        """A low limit of our own, not an open gate."""
        gate.state = None
        if (pause := gate.pause_until - time.monotonic()) > 0:
            return pause
        room = max(0, _WITHOUT_REDIS - gate.in_flight)
        requests = gate.known.requests_per_minute
        if requests is None:
            self._let_go(gate, room)
            return 0.1
        self._let_go(gate, min(room, 1))
        return max(0.1, 60 / requests)

    def _let_go(self, gate: _Gate, granted: int) -> None:
        while granted and gate.waiting:
            _, leave = gate.waiting.popleft()
            if not leave.done():
                leave.set_result(None)
                gate.in_flight += 1
            granted -= 1


def _remember(gate: _Gate, outcome: Reply | ProviderError) -> None:
    is_setback = isinstance(outcome, ProviderError) and outcome.failure in (
        Failure.RATE_LIMITED,
        Failure.TRANSIENT,
    )
    gate.setbacks = gate.setbacks + 1 if is_setback else 0
    if gate.setbacks > _WITHOUT_REDIS:
        pause = min(_LONGEST_PAUSE_S, 0.25 * 2 ** min(gate.setbacks - _WITHOUT_REDIS, 10))
        gate.pause_until = time.monotonic() + random.uniform(0.5, 1.0) * pause


def keys_of(provider: str, model: str) -> list[str]:
    """Where a gate stands in Redis: its state, and who has how much in flight."""
    gate = f"breakwater:gate:{provider}:{model}"
    return [gate, f"{gate}:processes"]


def gates(models: Collection[str]) -> dict[str, LimiterState]:
    """The gates of these models at the configured provider, those that somebody has used lately.

    Empty while Redis is away: whoever looks at a page must not wait for it.
    """
    configured = settings()
    if not models or configured.redis_url is None:
        return {}
    try:
        with Redis.from_url(configured.redis_url, socket_timeout=0.5, socket_connect_timeout=0.5) as redis:
            found = {model: read_state(redis, configured.provider_account, model) for model in models}
    except (RedisError, OSError):
        return {}
    return {model: state for model, state in found.items() if state is not None}


def read_state(redis: "Redis", provider: str, model: str) -> LimiterState | None:
    """A gate as it stands now, for those who only look; None where nobody has used it lately."""
    gate_key, processes_key = keys_of(provider, model)
    with redis.pipeline() as pipe:
        pipe.time()
        pipe.hgetall(gate_key)
        pipe.hgetall(processes_key)
        (seconds, micros), raw, processes = pipe.execute()
    if not raw:
        return None
    now = seconds * 1000 + micros // 1000
    gate = {bytes(name).decode(): float(value) for name, value in raw.items()}
    held = [bytes(value).decode().split(":") for value in processes.values()]
    failing_s = (now - gate["failing"]) / 1000 if gate["failing"] else 0.0
    return LimiterState(
        in_flight=sum(int(calls) for calls, expiry in held if int(expiry) >= now),
        ceiling=int(gate["ceiling"]) or None,
        blocked_s=max(0.0, (gate["blocked"] - now) / 1000),
        without_success_s=failing_s,
        throttled_share=gate["share"],
        is_probing=bool(gate["broken"]),
    )


def _state_of(answer: list[int]) -> LimiterState:
    return LimiterState(
        in_flight=answer[2],
        ceiling=answer[3] or None,
        blocked_s=answer[4] / 1000,
        without_success_s=answer[5] / 1000,
        throttled_share=answer[6] / 1000,
        is_probing=bool(answer[7]),
    )

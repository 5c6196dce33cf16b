"""The gate in Redis: paced where limits are known, adaptive where not, low and not open without Redis."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from redis import Redis

from app.llm.client import Failure, Limits, ProviderError
from app.llm.limiter import Limiter, keys_of, read_state
from app.prompting.prompt import Reply

REPLY = Reply("fine", "stop")
UNKNOWN = Limits()


def throttled(retry_after: float | None = None) -> ProviderError:
    return ProviderError(Failure.RATE_LIMITED, "rate_limit_exceeded", "slow down", retry_after=retry_after)


FAILED = ProviderError(Failure.TRANSIENT, "http_503", "busy")


class Gate:
    """One model's gate at an account that nobody else uses."""

    def __init__(self, redis_url: str) -> None:
        self.url = redis_url
        self.account = uuid.uuid4().hex
        self.redis = Redis.from_url(redis_url)
        self.key, self.processes = keys_of(self.account, "model")

    @asynccontextmanager
    async def limiter(self, process: str = "one", url: str | None = None) -> AsyncGenerator[Limiter]:
        limiter = Limiter(url or self.url, self.account, process)
        try:
            yield limiter
        finally:
            await limiter.close()

    def set(self, **fields: float) -> None:
        self.redis.hset(self.key, mapping=fields)

    def now(self) -> float:
        """By the gate's clock, milliseconds."""
        seconds, micros = self.redis.time()
        return seconds * 1000 + micros / 1000


@pytest.fixture
def gate(servers: tuple[str, str]) -> Gate:
    return Gate(servers[1])


async def call(
    limiter: Limiter, outcome: Reply | ProviderError = REPLY, limits: Limits = UNKNOWN, tokens: int = 10
) -> float:
    """Ask for leave and report; returns when leave was given."""
    async with limiter.slot("model", tokens, limits) as slot:
        left_at = time.monotonic()
        slot.report(outcome)
    return left_at


async def granted_within(seconds: float, waiting: Awaitable[object]) -> bool:
    try:
        await asyncio.wait_for(waiting, seconds)
    except TimeoutError:
        return False
    return True


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # pyright: ignore[reportArgumentType] - an async function gives a coroutine


@pytest.mark.parametrize(
    ("limits", "tokens"), [(Limits(1200, None), 10), (Limits(None, 12_000), 10)], ids=["requests", "tokens"]
)
def test_what_is_known_is_paced_for_all_processes_with_a_burst_of_one_second(
    gate: Gate, limits: Limits, tokens: int
) -> None:
    async def test() -> None:  # 20 a second, and 20 at once
        async with gate.limiter("one") as one, gate.limiter("two") as two:
            began = time.monotonic()
            left = await asyncio.gather(
                *(call(one if number % 2 else two, limits=limits, tokens=tokens) for number in range(40))
            )
            after = sorted(moment - began for moment in left)
            assert after[18] < 0.7
            assert 0.8 < after[39] < 2.5

    run(test)


def test_a_stray_refusal_holds_nobody_back(gate: Gate) -> None:
    async def test() -> None:
        async with gate.limiter() as limiter:
            for number in range(300):
                await call(limiter, throttled(30) if number % 100 == 50 else REPLY)
            await asyncio.sleep(0.1)
            await call(limiter)
            state = limiter.state("model")
            assert state is not None
            assert (state.ceiling, state.blocked_s) == (None, 0)

    run(test)


def test_a_storm_lowers_what_may_be_in_flight_and_successes_raise_it_again(gate: Gate) -> None:
    async def test() -> None:
        async with gate.limiter() as limiter:
            await call(limiter)
            await asyncio.gather(*(call(limiter, throttled()) for _ in range(40)))
            await asyncio.sleep(0.1)
            lowered = limiter.state("model")
            for _ in range(4):
                await asyncio.gather(*(call(limiter) for _ in range(25)))
            await asyncio.sleep(0.05)
            await call(limiter)
            raised = limiter.state("model")
            assert lowered is not None
            assert raised is not None
            assert lowered.ceiling is not None
            assert 20 <= lowered.ceiling <= 31
            assert raised.ceiling is None or raised.ceiling > lowered.ceiling

    run(test)


def test_the_provider_may_say_how_long_everybody_has_to_wait(gate: Gate) -> None:
    async def test() -> None:
        async with gate.limiter("one") as one, gate.limiter("two") as two:
            await call(one)
            await asyncio.gather(*(call(one, throttled(0.8)) for _ in range(10)))
            await asyncio.sleep(0.05)
            began = time.monotonic()
            assert await call(two) - began > 0.4

    run(test)


def test_after_long_failure_only_probes_go_until_one_succeeds(gate: Gate) -> None:
    async def test() -> None:
        async with gate.limiter() as limiter:
            await asyncio.gather(*(call(limiter, FAILED) for _ in range(12)))
            await asyncio.sleep(0.05)
            gate.set(failing=gate.now() - 20_000)
            await asyncio.sleep(2.1)  # for so long an open gate is trusted
            assert await granted_within(2.0, call(limiter, FAILED))  # the probe
            await asyncio.sleep(0.05)
            broken = read_state(gate.redis, gate.account, "model")
            held = not await granted_within(0.5, asyncio.gather(*(call(limiter) for _ in range(3))))
            gate.set(probe=0)
            assert await granted_within(2.0, call(limiter))
            await asyncio.sleep(0.05)
            assert await granted_within(2.0, asyncio.gather(*(call(limiter) for _ in range(3))))
            assert broken is not None
            assert (broken.is_probing, held) == (True, True)

    run(test)


@pytest.mark.parametrize("outcome", [throttled(), FAILED], ids=["too many", "failure"])
def test_where_nothing_succeeds_few_go_and_the_pauses_grow_until_something_does(
    gate: Gate, outcome: ProviderError
) -> None:
    async def test() -> None:
        async with gate.limiter() as limiter:
            await asyncio.gather(*(call(limiter, outcome) for _ in range(20)))
            await asyncio.sleep(0.1)
            first = read_state(gate.redis, gate.account, "model")
            gate.set(blocked=0)
            await asyncio.gather(*(call(limiter, outcome) for _ in range(4)))
            await asyncio.sleep(0.1)
            second = read_state(gate.redis, gate.account, "model")
            seen = limiter.state("model")
            gate.set(blocked=0)
            await call(limiter)
            await asyncio.sleep(0.1)
            assert await granted_within(2.0, asyncio.gather(*(call(limiter) for _ in range(4))))
            assert first is not None
            assert second is not None
            assert seen is not None
            assert 0.2 < first.blocked_s < second.blocked_s
            assert seen.ceiling is not None
            assert seen.ceiling <= 4

    run(test)


def test_a_flush_only_forgets(gate: Gate) -> None:
    async def test() -> None:
        async with gate.limiter() as limiter, limiter.slot("model", 10, UNKNOWN):
            gate.redis.delete(gate.key, gate.processes)
            gate.redis.script_flush()
            assert await granted_within(3.0, call(limiter, limits=Limits(6000, None)))
            state = read_state(gate.redis, gate.account, "model")
            assert state is not None
            assert state.in_flight >= 1

    run(test)


def test_without_redis_a_process_goes_on_with_four(gate: Gate) -> None:
    async def test() -> None:
        async with gate.limiter(url="unix:///nowhere/redis.sock") as limiter:
            flying = most = 0

            async def fly() -> None:
                nonlocal flying, most
                async with limiter.slot("model", 10, UNKNOWN):
                    flying += 1
                    most = max(most, flying)
                    await asyncio.sleep(0.05)
                    flying -= 1

            assert await granted_within(5.0, asyncio.gather(*(fly() for _ in range(12))))
            assert most == 4

    run(test)


def test_a_process_that_died_frees_its_calls_after_its_lease(gate: Gate) -> None:
    async def test() -> None:
        async with gate.limiter() as limiter:
            await call(limiter)
            now = gate.now()
            gate.redis.hset(
                gate.processes, mapping={"dead": f"50:{now - 1:.0f}", "alive": f"7:{now + 9e4:.0f}"}
            )
            gate.set(ceiling=20)
            assert await granted_within(4.0, call(limiter, limits=Limits(6000, None)))
            seen = limiter.state("model")
            assert seen is not None
            assert (seen.in_flight, seen.ceiling) == (8, 20)

    run(test)


def test_who_gives_up_waiting_takes_nobodys_place(gate: Gate) -> None:
    async def test() -> None:
        slow = Limits(60, None)  # one a second
        async with gate.limiter() as limiter:
            await call(limiter, limits=slow)
            given_up = [asyncio.create_task(call(limiter, limits=slow)) for _ in range(5)]
            await asyncio.sleep(0.05)
            for task in given_up:
                task.cancel()
            assert await granted_within(3.0, call(limiter, limits=slow))
            await asyncio.gather(*given_up, return_exceptions=True)

    run(test)

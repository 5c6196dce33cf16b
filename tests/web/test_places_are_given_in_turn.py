"""The gate: so many at a time, one caller after the other, and nobody waits for ever."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from app.web.errors import Busy
from app.web.gate import Gate


async def enter(gate: Gate, caller: str, order: list[str], leave: asyncio.Event | None = None) -> None:
    async with gate.place(caller):
        order.append(caller)
        await (leave.wait() if leave else asyncio.sleep(0))


async def started(*work: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(one) for one in work]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


def test_who_asks_once_is_let_in_after_one_of_those_who_ask_often() -> None:
    async def tried() -> list[str]:
        gate, order, leave = Gate(1), [], asyncio.Event()
        inside = await started(enter(gate, "first", order, leave))
        waiting = await started(
            *[enter(gate, "often", order) for _ in range(5)],
            enter(gate, "once", order),
            enter(gate, "too", order),
        )
        leave.set()
        await asyncio.gather(*inside, *waiting)
        return order

    assert asyncio.run(tried())[:4] == ["first", "often", "once", "too"]


def test_one_caller_never_has_all_places() -> None:
    async def tried() -> list[str]:
        gate, order, leave = Gate(3, each=2), [], asyncio.Event()
        tasks = await started(*[enter(gate, "often", order, leave) for _ in range(4)])
        tasks += await started(enter(gate, "once", order))
        before = [*order]
        leave.set()
        await asyncio.gather(*tasks)
        assert len(order) == 5
        return before

    assert asyncio.run(tried()) == ["often", "often", "once"]


def test_whoever_gives_up_or_breaks_gives_the_place_back() -> None:
    async def tried() -> None:
        gate, order, leave = Gate(1, patience_s=0.05), [], asyncio.Event()
        inside = await started(enter(gate, "a", order, leave))
        waiting = await started(*[enter(gate, name, order) for name in "abc"])
        waiting[0].cancel()
        with pytest.raises(Busy):
            await waiting[1]
        with pytest.raises(Busy):
            await waiting[2]
        inside[0].cancel()
        await asyncio.gather(*inside, *waiting, return_exceptions=True)
        await asyncio.wait_for(enter(gate, "d", order), 1)
        assert order == ["a", "d"]

    asyncio.run(tried())


def test_a_place_that_comes_to_somebody_who_is_just_leaving_goes_on_to_the_next() -> None:
    async def tried() -> list[str]:
        gate, order, leave = Gate(1), [], asyncio.Event()
        inside = await started(enter(gate, "a", order, leave))
        leaving, staying = await started(enter(gate, "b", order), enter(gate, "c", order))
        leave.set()
        await inside[0]  # the place is b's now, who has not run since
        leaving.cancel()
        await asyncio.wait_for(staying, 1)
        return order

    assert asyncio.run(tried())[-1] == "c"


def test_beyond_the_most_the_last_of_the_longest_line_is_sent_away() -> None:
    async def tried() -> list[str]:
        gate, order, leave = Gate(1, most_waiting=3), [], asyncio.Event()
        inside = await started(enter(gate, "a", order, leave))
        flood = await started(*[enter(gate, "often", order) for _ in range(3)])
        once = await started(enter(gate, "once", order))
        assert [task.done() for task in flood] == [False, False, True]
        leave.set()
        await asyncio.gather(*inside, *flood[:2], *once)
        with pytest.raises(Busy):
            await flood[2]
        return order

    assert asyncio.run(tried()) == ["a", "often", "once", "often"]

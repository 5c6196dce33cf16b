"""Connections over real sockets: half a head, a body that stands still, more of them than there may be."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn import Config, Server

from app.web import connections
from app.web.connections import Connection

LIMIT_S = 0.4
GET = b"GET / HTTP/1.1\r\nHost: here\r\n"
Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Hasty(Connection):
    head_s = body_s = take_s = LIMIT_S


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(await Request(scope, receive).body())(scope, receive, send)


def served(work: Callable[[int], Awaitable[Any]]) -> Any:
    """What `work` finds at the port of a server whose connections have little patience."""

    async def tried() -> Any:
        server = Server(Config(echo, port=0, http=Hasty, lifespan="off", log_level="critical", ws="none"))
        running = asyncio.create_task(server._serve())  # pyright: ignore[reportPrivateUsage] - the signals are pytest's
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            async with asyncio.timeout(30):
                return await work(server.servers[0].sockets[0].getsockname()[1])
        finally:
            server.should_exit = server.force_exit = True
            await running

    return asyncio.run(tried())


async def sent(port: int, *pieces: bytes, pause_s: float = 0.0) -> Peer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause_s)
    return reader, writer


async def rest_of(peer: Peer) -> bytes:
    """All that still comes until the other side closes."""
    try:
        return await peer[0].read()
    except ConnectionResetError:
        return b""
    finally:
        peer[1].close()


@pytest.mark.parametrize(
    "pieces",
    [
        (b"",),
        (GET,),
        (GET, b"X-A: b"),
        (b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nhalf",),
        (b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",),
    ],
)
def test_what_is_not_whole_in_time_is_closed(pieces: tuple[bytes, ...]) -> None:
    async def work(port: int) -> bytes:
        return await rest_of(await sent(port, *pieces))

    assert served(work) == b""


def test_a_head_has_one_limit_in_however_many_pieces_it_comes() -> None:
    async def work(port: int) -> int:
        reader, writer = await sent(port, GET)
        pieces = 0
        while not reader.at_eof() and not writer.is_closing() and pieces < 100:
            writer.write(b"X: y\r\n")
            pieces += 1
            await asyncio.sleep(LIMIT_S / 10)
        writer.close()
        return pieces

    assert served(work) < 100


def test_an_idle_connection_stays_and_its_next_half_head_does_not() -> None:
    async def work(port: int) -> tuple[bytes, bytes, bytes]:
        peer = await sent(port, GET + b"\r\n")
        first = await peer[0].readuntil(b"\r\n")
        await asyncio.sleep(LIMIT_S * 2)
        peer[1].write(GET + b"\r\n")
        second = (await peer[0].readuntil(b"HTTP/1.1 200 OK\r\n"))[-17:]
        peer[1].write(GET)
        return first, second, (await rest_of(peer))[-4:]

    first, second, end = served(work)
    assert first == second == b"HTTP/1.1 200 OK\r\n"
    assert end == b"\r\n\r\n"  # the second answer has no body, and nothing came after it


def test_a_slow_body_that_goes_on_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hasty, "body_s", 4 * LIMIT_S)

    async def work(port: int) -> bytes:
        head = b"POST / HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 6\r\n\r\n"
        pieces = (b"slowly"[at : at + 1] for at in range(6))
        return await rest_of(await sent(port, head, *pieces, pause_s=LIMIT_S))

    assert served(work).endswith(b"slowly")


def test_a_new_connection_takes_the_place_of_the_one_waited_for_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "most_connections", lambda: 5)
    monkeypatch.setattr(Hasty, "head_s", 20.0)

    async def work(port: int) -> tuple[bytes, list[bool]]:
        half = [await sent(port, GET, pause_s=0.02) for _ in range(5)]
        answer = await rest_of(await sent(port, GET + b"Connection: close\r\n\r\n"))
        await asyncio.sleep(0.1)
        ended = [reader.at_eof() or reader.exception() is not None for reader, _ in half]
        for _, writer in half:
            writer.close()
        return answer, ended

    answer, ended = served(work)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert ended == [True, False, False, False, False]

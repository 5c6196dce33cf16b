"""Requests over sockets of our own: cheap enough that hundreds at once leave the cores to the product.

Standard library only, for the witnesses start with nothing else. An outcome is the status as text ("200"), or one
of the words below; nothing here raises because of what the other side does.
"""

import asyncio
import socket
from collections.abc import Iterable, Mapping
from typing import NamedTuple

HUNG = "hung"  # no answer while somebody had patience
CLOSED = "closed"  # the connection was refused or ended before an answer
PATIENCE_S = 10.0
_CHUNK = 64 * 1024

Address = tuple[str, int]


class Uploaded(NamedTuple):
    outcome: str
    bytes_taken: int  # of the body, until the answer came


def message(
    method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", *, keep: bool = False
) -> bytes:
    """A whole request. A body has its length announced, unless `headers` announce another."""
    lines = {"Host": "127.0.0.1", "Connection": "keep-alive" if keep else "close"}
    if body or method == "POST":
        lines["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in (lines | dict(headers or {})).items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


async def ask(address: Address, sent: bytes, patience_s: float = PATIENCE_S) -> str:
    """Send a request on a connection of its own and read the whole answer."""
    try:
        async with asyncio.timeout(patience_s):
            reader, writer = await asyncio.open_connection(*address)
            try:
                writer.write(sent)
                status = await _status(reader)
                while await reader.read(_CHUNK):
                    pass
                return status
            finally:
                writer.transport.abort()
    except TimeoutError:
        return HUNG
    except (OSError, ValueError):
        return CLOSED


async def hold(address: Address, sent: bytes, seconds: float) -> str:
    """Send a request whose answer does not end, and listen for so long; gives its status once it has begun."""
    status = HUNG
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(*address)
            try:
                writer.write(sent)
                status = await _status(reader)
                while await reader.read(_CHUNK):
                    pass
            finally:
                writer.transport.abort()
    except TimeoutError:
        return status
    except (OSError, ValueError):
        return CLOSED
    return status


async def upload(
    address: Address, head: bytes, body: Iterable[bytes], patience_s: float = PATIENCE_S
) -> Uploaded:
    """Send a body piece by piece until the answer comes, as a client does that listens while it sends."""
    taken = 0
    try:
        async with asyncio.timeout(patience_s):
            reader, writer = await asyncio.open_connection(*address)
            answer = asyncio.create_task(_status(reader))
            try:
                writer.write(head)
                try:
                    for piece in body:
                        if answer.done():
                            break
                        writer.write(piece)
                        await writer.drain()
                        taken += len(piece)
                except OSError:  # closed for sending; the answer may have come before
                    pass
                return Uploaded(await answer, taken)
            finally:
                answer.cancel()
                writer.transport.abort()
    except TimeoutError:
        return Uploaded(HUNG, taken)
    except (OSError, ValueError):
        return Uploaded(CLOSED, taken)


async def trickle(
    address: Address, first: bytes, more: bytes, pause_s: float, seconds: float, *, reads: bool = True
) -> str:
    """Send `first`, then `more` again and again, slowly. Without `reads` an answer is taken one byte at a time."""
    status = HUNG
    try:
        async with asyncio.timeout(seconds):
            sock = socket.socket()
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            loop = asyncio.get_running_loop()
            try:
                await loop.sock_connect(sock, address)
                await loop.sock_sendall(sock, first)
                while True:
                    await asyncio.sleep(pause_s)
                    if more:
                        await loop.sock_sendall(sock, more)
                    status, ended = _glance(sock, status, 4096 if reads else 1)
                    if ended:
                        return status if status != HUNG else CLOSED
            finally:
                sock.close()
    except TimeoutError:
        return status
    except OSError:
        return status if status != HUNG else CLOSED


def _glance(sock: socket.socket, status: str, most: int) -> tuple[str, bool]:
    """What has come meanwhile: the status once it is there, and whether the other side has ended."""
    try:
        found = sock.recv(most if status != HUNG else 4096)
    except BlockingIOError:
        return status, False
    if status == HUNG and found.startswith(b"HTTP/1."):
        status = found[9:12].decode()
    return status, not found


class Kept:
    """One connection that stays open between requests with short answers."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: bytes, patience_s: float = PATIENCE_S) -> str:
        try:
            async with asyncio.timeout(patience_s):
                if self._streams is None:
                    self._streams = await asyncio.open_connection(*self._address)
                reader, writer = self._streams
                writer.write(sent)
                status, length, closes = await _head(reader)
                await reader.readexactly(length)
                if closes:
                    self.close()
                return status
        except TimeoutError:
            self.close()
            return HUNG
        except (OSError, ValueError, EOFError):
            self.close()
            return CLOSED

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def _status(reader: asyncio.StreamReader) -> str:
    line = await reader.readline()
    if not line.startswith(b"HTTP/1."):
        raise OSError("the connection ended before an answer")
    return line[9:12].decode()


async def _head(reader: asyncio.StreamReader) -> tuple[str, int, bool]:
    """Status, length of the body, and whether the other side closes."""
    status, length, closes = await _status(reader), 0, False
    while (line := (await reader.readline()).lower().strip()) != b"":
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        closes = closes or line == b"connection: close"
    return status, length, closes

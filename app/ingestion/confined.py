"""Reads foreign files in a process of its own, within limits. Touches processes.

Whatever a file holds can end that process only, and whoever wants the reading to end, ends it. It hands over what
it has read one by one and sees no database. What was handed over before it ended is kept.
"""

import fcntl
import gc
import os
import pickle
import select
import struct
import sys
import time
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import suppress
from itertools import pairwise
from typing import Generic, TypeVar

from app.forked import Forked, limit_memory
from app.ingestion.rows import printable

MOST_MEMORY = 1024**3  # bytes, beyond what the process that asks has
STILL_S = 120.0  # without a sign of the reader, before it counts as hanging
WAIT_S = 1.0  # before whoever waits hears that nothing came
STEP_ROWS = 1000
STEP_BYTES = 16 * 1024**2  # of what is handed over, packed
_SIGN_S = 0.5
_GATHER_S = 0.02
_PIPE_BYTES = 1024**2
_LENGTH = struct.Struct("!Q")  # of the message that follows
_HIGHEST_FILE = 2**20
_MORE, _GOES_ON, _DONE, _STOPPED = b"m", b"g", b"d", b"s"  # what the first byte of a message says

_Read = TypeVar("_Read")


class ReadingStopped(Exception):
    """The file was not read to its end: why, as half a sentence."""


class Reading(Generic[_Read]):
    """What `things` gives, from number `skip` on, as a process of its own reads it. A context: it ends with it.

    One that gives no sign for `still_s` seconds is ended.
    """

    def __init__(
        self, things: Callable[[], Iterable[_Read]], skip: int = 0, still_s: float | None = None
    ) -> None:
        self._still_s = STILL_S if still_s is None else still_s
        self._from, into = os.pipe()
        _widen(into)
        self._child = Forked(lambda: _read(things, skip, into))
        os.close(into)
        self._heard = bytearray()  # what came and is not handed on
        self._is_over = False

    def __enter__(self) -> "Reading[_Read]":
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        os.close(self._from)

    def steps(self) -> Generator[list[_Read]]:
        """Lists of what was read, as large as one transaction should be; an empty one where nothing came for a while.

        Raises ReadingStopped behind the last of them where the file was not read to its end.
        """
        stopped: ReadingStopped | None = None
        heard_at = time.monotonic()
        while not self._is_over:
            step: list[_Read] = []
            size = 0
            try:
                while (
                    len(step) < STEP_ROWS
                    and size < STEP_BYTES
                    and (packed := self._next(heard_at)) is not None
                ):
                    heard_at = time.monotonic()
                    size += len(packed)
                    step += [pickle.loads(packed)] if packed else []
            except ReadingStopped as error:
                stopped = error
            if step or not self._is_over:
                yield step
            if step:
                heard_at = time.monotonic()  # it may have waited for us
        if stopped is not None:
            raise stopped

    def _next(self, heard_at: float) -> bytes | None:
        """What comes next, packed; empty where it is a mere sign, None when nothing came for a while and at the end."""
        if self._is_over:
            return None
        message = self._message()
        if message is None and self._listen():
            message = self._message()
        if message is None:
            if time.monotonic() - heard_at > self._still_s:
                self._end(f"nothing came out of it for {self._still_s:.0f} seconds")
            return None
        kind, content = message[:1], message[1:]
        if kind == _STOPPED:
            self._end(content.decode())
        if kind == _DONE:
            self._is_over = True
            return None
        return content

    def _message(self) -> bytes | None:
        """The first whole message of what was heard."""
        if len(self._heard) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._heard)
        end = _LENGTH.size + length
        if len(self._heard) < end:
            return None
        message = bytes(self._heard[_LENGTH.size : end])
        del self._heard[:end]
        return message

    def _listen(self) -> bool:
        """Take in what there is, waiting for it a little. Whether there was anything. Raises ReadingStopped at the end."""
        poll = select.poll()
        poll.register(self._from, select.POLLIN)
        if not poll.poll(1000 * WAIT_S):
            return False
        time.sleep(_GATHER_S)  # to be woken once for many rows
        heard = os.read(self._from, _PIPE_BYTES)
        if not heard:
            self._end(_how(self._child.wait(WAIT_S)))
        self._heard += heard
        return True

    def _end(self, why: str) -> None:
        self._is_over = True
        self._child.kill()
        raise ReadingStopped(why)


def _how(status: int | None) -> str:
    if status is not None and status < 0:
        return f"the process that read it was ended by signal {-status}, as one is that takes too much memory"
    return "the process that read it ended early"


# --- the process that reads -------------------------------------------------------------------------------


def _read(things: Callable[[], Iterable[object]], skip: int, into: int) -> None:
    gc.freeze()  # nothing of the parent's may be let go here: its files are closed, and their numbers used again
    _close_all_but((2, into))
    limit_memory(MOST_MEMORY)
    why: str | None = None
    is_whole = False
    try:
        _send_all(things(), skip, into)
        is_whole = True
    except MemoryError:
        why = f"reading it takes more than {MOST_MEMORY // 1024**2:,} MB of memory"
    finally:
        if why is None:
            error = sys.exc_info()[1]
            why = f"a reader failed over it ({type(error).__name__}: {printable(str(error))[:200]})"
        with suppress(BrokenPipeError):  # nobody waits any more
            _send(into, _DONE if is_whole else _STOPPED + why.encode())


def _send_all(things: Iterable[object], skip: int, into: int) -> None:
    """Each at once, for the next may be the last; of those that are skipped a sign every half second."""
    sent_at = time.monotonic()
    for number, thing in enumerate(things):
        if number >= skip:
            _send(into, _MORE + pickle.dumps(thing, pickle.HIGHEST_PROTOCOL))
        elif time.monotonic() - sent_at >= _SIGN_S:
            _send(into, _GOES_ON)
            sent_at = time.monotonic()


def _send(into: int, message: bytes) -> None:
    left = memoryview(_LENGTH.pack(len(message)) + message)
    while left:
        left = left[os.write(into, left) :]


def _widen(pipe: int) -> None:
    """Have room in the pipe for what is read while whoever listens writes to the database."""
    with suppress(AttributeError, OSError):  # no Linux, or the pipes of this person are wide enough together
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _close_all_but(kept: Collection[int]) -> None:
    """The database's connections and the worker's pipes are nothing for it."""
    marks = sorted({-1, *kept, _HIGHEST_FILE})
    for below, above in pairwise(marks):
        os.closerange(below + 1, above)

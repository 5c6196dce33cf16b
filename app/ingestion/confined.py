"""Reads foreign files in a process of its own, within limits. Touches processes.

Whatever a file holds can end that process only, and whoever wants the reading to end, ends it. It hands over what
it has read one by one and sees no database. What was handed over before it ended is kept.
"""

import gc
import os
import pickle
import sys
import time
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import suppress
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeAlias, TypeVar

from app.forked import Forked, limit_memory
from app.ingestion.rows import printable

MOST_MEMORY = 1024**3  # bytes, beyond what the process that asks has
STILL_S = 120.0  # without a sign of the reader, before it counts as hanging
WAIT_S = 1.0  # before whoever waits hears that nothing came
STEP_ROWS = 1000
STEP_BYTES = 16 * 1024**2  # of what is handed over, packed
_SIGN_S = 0.5
_HIGHEST_FILE = 2**20
_MORE, _GOES_ON, _DONE, _STOPPED = b"m", b"g", b"d", b"s"  # what the first byte of a message says

_Read = TypeVar("_Read")
_Pipe: TypeAlias = "Connection[Any, Any]"


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
        out, in_ = os.pipe()
        self._from, into = Connection(out, writable=False), Connection(in_, readable=False)
        self._child = Forked(lambda: _read(things, skip, into))
        into.close()
        self._is_over = False

    def __enter__(self) -> "Reading[_Read]":
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._from.close()

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
        """What comes next, packed; empty where it is a mere sign, None when nothing came for a second and at the end."""
        if self._is_over:
            return None
        if not self._from.poll(WAIT_S):
            if time.monotonic() - heard_at > self._still_s:
                self._end(f"nothing came out of it for {self._still_s:.0f} seconds")
            return None
        try:
            message = self._from.recv_bytes()
        except (EOFError, OSError):  # it ended between two things, or in the middle of one
            self._end(_how(self._child.wait(WAIT_S)))
            return None
        if message[:1] == _STOPPED:
            self._end(message[1:].decode())
        if message[:1] == _DONE:
            self._is_over = True
            return None
        return message[1:]

    def _end(self, why: str) -> None:
        self._is_over = True
        self._child.kill()
        raise ReadingStopped(why)


def _how(status: int | None) -> str:
    if status is not None and status < 0:
        return f"the process that read it was ended by signal {-status}, as one is that takes too much memory"
    return "the process that read it ended early"


# --- the process that reads -------------------------------------------------------------------------------


def _read(things: Callable[[], Iterable[object]], skip: int, into: _Pipe) -> None:
    gc.freeze()  # nothing of the parent's may be let go here: its files are closed, and their numbers used again
    _close_all_but((2, into.fileno()))
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
            into.send_bytes(_DONE if is_whole else _STOPPED + why.encode())


def _send_all(things: Iterable[object], skip: int, into: _Pipe) -> None:
    """Each at once, for the next may be the last; of those that are skipped a sign every half second."""
    sent_at = time.monotonic()
    for number, thing in enumerate(things):
        if number >= skip:
            into.send_bytes(_MORE + pickle.dumps(thing, pickle.HIGHEST_PROTOCOL))
        elif time.monotonic() - sent_at >= _SIGN_S:
            into.send_bytes(_GOES_ON)
            sent_at = time.monotonic()


def _close_all_but(kept: Collection[int]) -> None:
    """The database's connections and the worker's pipes are nothing for it."""
    marks = sorted({-1, *kept, _HIGHEST_FILE})
    for below, above in pairwise(marks):
        os.closerange(below + 1, above)

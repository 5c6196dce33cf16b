"""Who is let in when many ask at once: so many at a time, and one caller after the other.

A gate belongs to one event loop; it holds no thread and no connection while somebody waits.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from app.web.errors import Busy

PATIENCE_S = 20.0  # then the answer is 503, before a proxy or a client gives up by itself
MOST_WAITING = 1_000

_Line = deque[asyncio.Future[None]]


class Gate:
    """`places` requests at a time, at most `each` of one caller; the others stand in line, one line per caller.

    Places go to the lines in turn, so that who asks once waits for one request of each other caller, however many
    those have sent. Raises Busy for who waits longer than `patience_s`, and beyond `most_waiting` for the last of the
    longest line.
    """

    def __init__(
        self,
        places: int,
        *,
        each: int | None = None,
        most_waiting: int = MOST_WAITING,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._places = places
        self._each = places if each is None else each
        self._most_waiting = most_waiting
        self._patience_s = patience_s
        self._inside: Counter[str] = Counter()
        self._lines: dict[str, _Line] = {}  # the line whose turn it is comes first

    @asynccontextmanager
    async def place(self, caller: str) -> AsyncGenerator[bool]:
        """A place while the block lasts; gives whether it had to be waited for."""
        waited = not self._is_open_for(caller)
        if waited:
            await self._stand_in_line(caller)
        else:
            self._inside[caller] += 1
        try:
            yield waited
        finally:
            self._leave(caller)

    def _is_open_for(self, caller: str) -> bool:
        return self._inside.total() < self._places and self._inside[caller] < self._each

    async def _stand_in_line(self, caller: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(caller, deque()).append(turn)
        self._send_away_beyond_the_most()
        is_in = False
        try:
            async with asyncio.timeout(self._patience_s):
                await turn
            is_in = True
        except TimeoutError:
            raise Busy from None
        finally:
            if not is_in:
                self._step_out(caller, turn)

    def _send_away_beyond_the_most(self) -> None:
        if sum(map(len, self._lines.values())) > self._most_waiting:
            longest = max(self._lines, key=lambda caller: len(self._lines[caller]))
            turn = self._lines[longest].pop()
            if not turn.done():
                turn.set_exception(Busy())

    def _step_out(self, caller: str, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self._leave(caller)  # the place came in the same moment
            return
        line = self._lines.get(caller, _Line())
        if turn in line:
            line.remove(turn)
        if not line:
            self._lines.pop(caller, None)

    def _leave(self, caller: str) -> None:
        """Give the place to the next line that may have one."""
        self._inside[caller] -= 1
        if not self._inside[caller]:
            del self._inside[caller]
        for following in tuple(self._lines):
            if self._inside[following] < self._each and self._let_one_in(following):
                return

    def _let_one_in(self, caller: str) -> bool:
        line = self._lines.pop(caller)
        while line:
            turn = line.popleft()
            if turn.done():
                continue  # gave up, and has not been told yet
            self._inside[caller] += 1
            turn.set_result(None)
            if line:
                self._lines[caller] = line  # its next one after everybody else's
            return True
        return False

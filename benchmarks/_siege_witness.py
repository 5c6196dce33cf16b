"""Those who only want to read meanwhile, and a watchman at `/healthz`: a process of its own, apart from the load.

    python -m benchmarks._siege_witness < asked.json-and-then-an-open-pipe

Every request starts when it is due, whatever became of those before, so that a service that stands still is seen to
do so. Prints one JSON array per request: when it began (the machine's monotonic clock), who asked, the outcome, and
milliseconds. Ends when its standard input does, or after an hour.
"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import IO, Any, NamedTuple

from benchmarks._siege_line import PATIENCE_S, Address, Kept, ask, message

HEALTH_EVERY_S = 1 / 10
READ_EVERY_S = 1 / 5
READ_WITHIN_S = 2.0  # what is answered later counts as not answered
NEW, KEPT, READER = "healthz, a new connection", "healthz, a kept connection", "reader"
OK = "200"
REST, GO_ON = "rest", "go on"
_LONGEST_S = 3600


@dataclass
class Asked:
    """Where they ask, and what readers ask in turn: (path, headers)."""

    address: Address
    reads: list[tuple[str, dict[str, str]]]


class Seen(NamedTuple):
    """One request of a witness."""

    at: float  # by time.monotonic()
    who: str
    what: str
    outcome: str
    ms: float

    @property
    def waited_ms(self) -> float:
        """What whoever asked has waited; of one that was not answered rightly all their patience."""
        return self.ms if self.outcome == OK else PATIENCE_S * 1000


class Witness:
    """The process, seen from outside."""

    def __init__(self, journal: Path, told: IO[str]) -> None:
        self._journal = journal
        self._told = told

    def seen(self, since: float, until: float) -> list[Seen]:
        """What began in between; those that still wait are not there yet."""
        lines = self._journal.read_text().splitlines(keepends=True)
        everything = (Seen(*json.loads(line)) for line in lines if line.endswith("\n"))
        return [one for one in everything if since <= one.at < until]

    @contextmanager
    def resting(self) -> Generator[None]:
        """Nobody asks meanwhile: those who have waited for a service that is away would all come at once."""
        self._tell(REST)
        try:
            yield
        finally:
            self._tell(GO_ON)

    def _tell(self, word: str) -> None:
        self._told.write(f"{word}\n")
        self._told.flush()


@contextmanager
def witnesses(asked: Asked, journal: Path) -> Generator[Witness]:
    with journal.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._siege_witness"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=output,
            text=True,
        )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(asdict(asked)) + "\n")
        process.stdin.flush()
        yield Witness(journal, process.stdin)
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=PATIENCE_S + 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Witnesses:
    def __init__(self, asked: dict[str, Any]) -> None:
        self._address: Address = (asked["address"][0], asked["address"][1])
        self._reads = [(path, message("GET", path, headers)) for path, headers in asked["reads"]]
        self._idle: list[Kept] = []
        self._waiting: set[asyncio.Task[None]] = set()
        self.awake = asyncio.Event()
        self.awake.set()

    async def all(self, ended: asyncio.Event) -> None:
        going = [self._steadily(HEALTH_EVERY_S, cycle((self._new, self._kept)))]
        if self._reads:
            going.append(self._steadily(READ_EVERY_S, (self._reader(*one) for one in cycle(self._reads))))
        tasks = [asyncio.create_task(one) for one in going]
        await ended.wait()
        for task in (*tasks, *self._waiting):
            task.cancel()
        await asyncio.gather(*tasks, *self._waiting, return_exceptions=True)

    async def _steadily(self, every_s: float, askers: Iterable[Any]) -> None:
        due = time.monotonic()
        for asker in askers:
            await self.awake.wait()
            task = asyncio.create_task(asker())
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
            due = max(due + every_s, time.monotonic() - 1)  # a machine that slept need not make up for it
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _new(self) -> None:
        started = time.monotonic()
        _note(started, NEW, "/healthz", await ask(self._address, message("GET", "/healthz")))

    async def _kept(self) -> None:
        line = self._idle.pop() if self._idle else Kept(self._address)
        started = time.monotonic()
        _note(started, KEPT, "/healthz", await line.ask(message("GET", "/healthz", keep=True)))
        self._idle.append(line)

    def _reader(self, path: str, sent: bytes) -> Any:
        async def read() -> None:
            started = time.monotonic()
            _note(started, READER, path, await ask(self._address, sent, READ_WITHIN_S))

        return read


def _note(started: float, who: str, what: str, outcome: str) -> None:
    took = (time.monotonic() - started) * 1000
    print(json.dumps(Seen(started, who, what, outcome, round(took, 2))), flush=True)


async def _until_input_ends(asked: dict[str, Any]) -> None:
    loop, ended, them = asyncio.get_running_loop(), asyncio.Event(), _Witnesses(asked)

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(them.awake.clear if line.strip() == REST else them.awake.set)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=listen, daemon=True).start()
    loop.call_later(_LONGEST_S, ended.set)
    await them.all(ended)


if __name__ == "__main__":
    asyncio.run(_until_input_ends(json.loads(sys.stdin.readline())))

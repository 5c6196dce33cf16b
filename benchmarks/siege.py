"""What no client, no text and no file may do: stop the service for everybody else.

    python -m benchmarks.siege [--full]

Against `breakwater up` over sockets: ten seconds (`--full`: a minute) of each load that once stopped it. A process of
its own asks `/healthz` ten times a second meanwhile, half of them over new connections, and three people read
pages and lists. Goals: `/healthz` p99 under 1 s, of what others read at least 99 % answered rightly within 2 s, no
500, the web process at most 400 MB above idle, and cancelled steps gone within 10 s. A load that leaves the service
silent is written down as such; the service is started again for the next one.
"""

import asyncio
import contextlib
import importlib
import math
import resource
import statistics
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import benchmarks
from benchmarks import _siege_files as files
from benchmarks import _siege_loads as loads
from benchmarks import _siege_locks as locks
from benchmarks._product import environment, model_server
from benchmarks._siege_line import CLOSED, HUNG
from benchmarks._siege_scene import Scene, Tally, journal_of, scene
from benchmarks._siege_witness import OK, READER, Asked, Seen, Witness, witnesses

HEALTHZ_P99_MS = 1000.0
SERVED = 0.99
ABOVE_IDLE_MB = 400.0
CANCELLED_WITHIN_S = 10.0
TAKEN_MB = (
    12.0  # of a body before it is refused: the limit of requests that are no uploads, and what sockets hold
)
DONE_BESIDE = 0.5

RECOVERY_S = 10.0
GRACE_S = 100.0  # for a load to await what it has sent; after that it is given up
SETTLE_S = 1.0
SAMPLE_EVERY_S = 0.2
SWOLLEN_MB = 150.0  # above idle: the next load is judged on a fresh process
IN_FLIGHT = 32
LATENCY_S = 0.3

Attack = Callable[[Scene, Tally, float], Awaitable[None]]


class Load(NamedTuple):
    """One way to besiege, and what is asked of it beyond the goals of all."""

    name: str
    attack: Attack
    answers: bool = False  # whether every request of it has to be answered
    alone: bool = False  # whether nothing else keeps the service busy, so that a 503 is a lie
    fresh: bool = False  # begins as soon as a new web process answers
    before: Callable[[Scene], None] | None = None
    after: Callable[[Scene, Tally], None] | None = None


LOADS = (
    Load("one token (C1)", loads.one_token, answers=True),
    Load("one browser (C1)", loads.one_browser, answers=True),
    Load("event streams (C1)", loads.event_streams, answers=True),
    Load("bogus cookies, just started (H1)", loads.bogus_cookies, answers=True, fresh=True),
    Load("bogus cookies, warm (H1)", loads.bogus_cookies, answers=True),
    Load("other doors (H1)", loads.other_doors, answers=True),
    Load("sign-ins (M6)", loads.sign_ins, answers=True),
    Load("large bodies (H6)", loads.large_bodies),
    Load("anonymous JSON (H6)", loads.anonymous_json),
    Load("half headers (M9)", loads.half_headers),
    Load("slow bodies (M9)", loads.slow_bodies),
    Load("slow readers (M9)", loads.slow_readers),
    Load("odd cursors and cookies (L1)", loads.odd_cursors, answers=True),
    Load("unknown keys (L7)", loads.unknown_keys, answers=True),
    Load("double submits (M3, M4)", loads.double_submits, answers=True, alone=True),
    Load("long texts (H2)", files.long_text_pages, before=files.import_long_texts, answers=True),
    Load("small gzips (H4)", files.small_gzips, before=files.prepare_gzips, after=files.free_the_worker),
    Load("a turning tar (H3)", files.a_turning_tar, after=files.free_the_worker),
    Load("a tar of folders (H3)", files.a_tar_of_folders, after=files.free_the_worker),
    Load("held rows (point 4)", locks.held_rows, before=locks.prepare_runs),
    Load("a frozen worker (point 4)", locks.a_frozen_worker),
)


def load_named(name: str) -> Load:
    return next(load for load in LOADS if load.name == name)


@dataclass
class Suffered:
    """One load, and what was seen meanwhile."""

    load: Load
    tally: Tally
    seen: list[Seen] = field(default_factory=list)
    above_idle_mb: float = 0.0
    restarts: int = 0
    broken: dict[str, int] = field(default_factory=dict)  # addresses that were answered with 500
    stood_still: bool = False  # nobody was answered when it was over

    @property
    def waits_ms(self) -> list[float]:
        return [one.waited_ms for one in self.seen if one.who != READER]

    @property
    def reads(self) -> list[bool]:
        return [one.outcome == OK for one in self.seen if one.who == READER]

    @property
    def errors_500(self) -> int:
        """As the clients saw them or as the log has them: who has gone sees none, and a log may be cut."""
        told = [*self.tally.outcomes.elements(), *(one.outcome for one in self.seen)]
        return max(sum(one.startswith("5") and one != "503" for one in told), sum(self.broken.values()))

    def faults(self) -> Iterator[str]:
        """Which goals were missed."""
        if self.stood_still:
            yield "stood still"
        if (p99 := percentile(self.waits_ms, 99)) >= HEALTHZ_P99_MS:
            yield f"healthz {p99:.0f} ms"
        if share(self.reads) < SERVED:
            yield f"others {share(self.reads):.1%}"
        if self.errors_500:
            yield f"{self.errors_500} x 500"
        if self.above_idle_mb > ABOVE_IDLE_MB:
            yield f"{self.above_idle_mb:.0f} MB above idle"
        if self.restarts:
            yield f"web ended {self.restarts} x"
        yield from self.own_faults()

    def own_faults(self) -> Iterator[str]:
        """Those that are asked of this load alone; none is about the time of an answer."""
        outcomes, figures = self.tally.outcomes, self.tally.figures
        if self.load.answers and (unanswered := outcomes[HUNG] + outcomes[CLOSED]):
            yield f"{unanswered} not answered"
        if self.load.alone and outcomes["503"]:
            yield f"{outcomes['503']} x 503"
        if figures.get("cancelled_within_s", 0) > CANCELLED_WITHIN_S:
            yield f"cancelled step after {figures['cancelled_within_s']:.0f} s"
        for name in ("body_taken_mb", "json_taken_mb"):
            if figures.get(name, 0) > TAKEN_MB:
                yield f"{figures[name]:.0f} MB taken"
        if figures.get("done_beside_what_is_held", 1) < DONE_BESIDE:
            yield f"{figures['done_beside_what_is_held']:.0%} done beside"


# --- one load ---------------------------------------------------------------------------------------------


async def _suffer(scene_: Scene, witness: Witness, load: Load, seconds: float, idle_mb: float) -> Suffered:
    """Besiege the service for so long and see what comes of it."""
    if load.before is not None:
        await asyncio.to_thread(load.before, scene_)
    if load.fresh or scene_.web_mb() > idle_mb + SWOLLEN_MB:
        await _restart(scene_, witness)
    scene_.broken_answers()  # of whatever was before
    suffered = Suffered(load, Tally())
    restarts, began = scene_.restarts, time.monotonic()
    sampling = asyncio.create_task(_sample(scene_, suffered.tally))
    try:
        async with asyncio.timeout(seconds + GRACE_S):
            await load.attack(scene_, suffered.tally, began + seconds)
    except TimeoutError:
        suffered.tally.add(HUNG)
    is_well = await asyncio.to_thread(scene_.await_well, RECOVERY_S)
    ended = time.monotonic()
    await asyncio.sleep(SETTLE_S)
    sampling.cancel()
    suffered.above_idle_mb = max(0.0, suffered.tally.figures.pop("web_mb", 0.0) - idle_mb)
    suffered.restarts = scene_.restarts - restarts
    if not is_well:
        suffered.stood_still = True
        await _restart(scene_, witness)
    suffered.seen = witness.seen(began, ended)
    suffered.broken = dict(scene_.broken_answers())
    if load.after is not None:
        await asyncio.to_thread(load.after, scene_, suffered.tally)
    return suffered


async def _restart(scene_: Scene, witness: Witness) -> None:
    with witness.resting():
        await asyncio.to_thread(scene_.restart_web)


async def _sample(scene_: Scene, tally: Tally) -> None:
    while True:
        tally.most("web_mb", scene_.web_mb())
        if (held := scene_.temp_mb()) > 1:
            tally.most("temp_disk_mb", held)
        await asyncio.sleep(SAMPLE_EVERY_S)


# --- all of them ------------------------------------------------------------------------------------------


def measure(
    seconds: float, chosen: Sequence[Load] = LOADS, *, settings: dict[str, str] | None = None
) -> list[Suffered]:
    """So many seconds of each load on a product in a home of its own; prints a line for each."""
    with _many_files_open(), scene(settings) as scene_:
        asked = Asked(scene_.address, scene_.reads())
        with witnesses(asked, journal_of(scene_)) as witness:
            return asyncio.run(_all(scene_, witness, chosen, seconds))


async def _all(scene_: Scene, witness: Witness, chosen: Sequence[Load], seconds: float) -> list[Suffered]:
    await asyncio.sleep(min(seconds, 4))  # the readers have been everywhere: everything is loaded
    idle_mb = scene_.web_mb()
    print(f"the web process takes {idle_mb:.0f} MB when idle")
    print(_line(*_COLUMNS), flush=True)
    found: list[Suffered] = []
    for load in chosen:
        found.append(await _suffer(scene_, witness, load, seconds, idle_mb))
        _show(found[-1])
    return found


@contextmanager
def _many_files_open() -> Generator[None]:
    """900 connections need as many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that so many per cent are at most; infinite without any."""
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else math.inf


def share(answered: Sequence[bool]) -> float:
    return sum(answered) / len(answered) if answered else 1.0


_COLUMNS = ("load", "asked", "p50 ms", "p99 ms", "max ms", "others", "MB above", "500s", "verdict")
_WIDTHS = (33, 6, 7, 7, 7, 7, 8, 5, 0)


def _line(*cells: object) -> str:
    first, *rest = (str(cell).rjust(width) for cell, width in zip(cells, _WIDTHS, strict=True))
    return "  ".join([first.strip().ljust(_WIDTHS[0]), *rest])


def _show(one: Suffered) -> None:
    waits = one.waits_ms or [math.inf]
    print(
        _line(
            one.load.name,
            one.tally.outcomes.total(),
            f"{statistics.median(waits):.0f}",
            f"{percentile(waits, 99):.0f}",
            f"{max(waits):.0f}",
            f"{share(one.reads):.1%}",
            f"{one.above_idle_mb:.0f}",
            one.errors_500,
            "; ".join(one.faults()) or "ok",
        )
    )
    print(f"    answered {dict(one.tally.outcomes)} {one.tally.figures or ''}".rstrip())
    if one.broken:
        print(f"    500 at {one.broken}")
    print(end="", flush=True)


def summary(found: Sequence[Suffered]) -> dict[str, Any]:
    """The figures over all loads."""
    waits = [ms for one in found for ms in one.waits_ms]
    reads = [is_served for one in found for is_served in one.reads]
    cancelled = [s for one in found if (s := one.tally.figures.get("cancelled_within_s")) is not None]
    taken = [one.tally.figures.get(name, 0.0) for one in found for name in ("body_taken_mb", "json_taken_mb")]
    return {
        "loads": len(found),
        "healthz_p99_ms": round(percentile(waits, 99), 1),
        "healthz_p99_ms_worst_load": round(max(percentile(one.waits_ms, 99) for one in found), 1),
        "healthz_max_ms": round(max(waits, default=0.0), 1),
        "errors_500": sum(one.errors_500 for one in found),
        "served_meanwhile": round(share(reads), 4),
        "served_meanwhile_worst_load": round(min(share(one.reads) for one in found), 4),
        "web_rss_above_idle_mb": round(max(one.above_idle_mb for one in found)),
        "body_taken_mb": max(taken),
        "temp_disk_mb": max(one.tally.figures.get("temp_disk_mb", 0.0) for one in found),
        "cancelled_within_s": max(cancelled, default=-1),
        "stood_still": sum(one.stood_still for one in found),
        "restarts": sum(one.restarts for one in found),
        "missed": {one.load.name: missed for one in found if (missed := list(one.faults()))},
    }


def run(full: bool) -> dict[str, Any]:
    with model_server(latency_s=LATENCY_S) as server:
        found = measure(60 if full else 10, settings=environment(server, IN_FLIGHT))
    return summary(found) | _growth_of_patterns(full)


def _growth_of_patterns(full: bool) -> dict[str, Any]:
    """How the time of the slowest pattern grows, by the benchmark that tries them all; -1 where it is not there."""
    try:
        growth = importlib.import_module("benchmarks.growth")
    except ModuleNotFoundError:
        print("benchmarks/growth.py is not there: slowest_pattern_ratio is not measured")
        return {"slowest_pattern_ratio": -1}
    with contextlib.suppress(KeyError):
        return {"slowest_pattern_ratio": growth.run(full)["slowest_pattern_ratio"]}
    return {"slowest_pattern_ratio": -1}


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

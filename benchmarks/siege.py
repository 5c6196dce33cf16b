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
import resource
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
from sqlalchemy.exc import SQLAlchemyError

import benchmarks
from benchmarks import _siege_files as files
from benchmarks import _siege_loads as loads
from benchmarks import _siege_locks as locks
from benchmarks._product import environment, model_server
from benchmarks._siege_report import BROKE, Load, Suffered, heading, show, summary
from benchmarks._siege_scene import Scene, Tally, journal_of, scene
from benchmarks._siege_witness import Asked, Witness, witnesses

RECOVERY_S = 10.0
GRACE_S = 180.0  # for a load to await what it has sent; after that it is given up
SETTLE_S = 1.0
SAMPLE_EVERY_S = 0.2
SWOLLEN_MB = 150.0  # above idle: the next load is judged on a fresh process
IN_FLIGHT = 32
LATENCY_S = 0.3

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
    Load("unknown keys (L7)", loads.unknown_keys, answers=True, before=loads.prepare_keys),
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


# --- one load ---------------------------------------------------------------------------------------------


async def _suffer(
    scene_: Scene, witness: Witness, load: Load, seconds: float, idle_mb: float, *, goes_on: bool
) -> Suffered:
    """Besiege the service for so long and see what comes of it."""
    suffered = Suffered(load, Tally())
    if load.before is not None:
        with _told(suffered.tally):
            await asyncio.to_thread(load.before, scene_)
    if load.fresh or scene_.web_mb() > idle_mb + SWOLLEN_MB:
        await _restart(scene_, witness)
    scene_.stamp_everybody()
    scene_.broken_answers()  # of whatever was before
    restarts, began = scene_.restarts, time.monotonic()
    sampling = asyncio.create_task(_sample(scene_, suffered.tally))
    with _told(suffered.tally):
        async with asyncio.timeout(seconds + GRACE_S):
            await load.attack(scene_, suffered.tally, began + seconds)
    is_well = await asyncio.to_thread(scene_.await_well, RECOVERY_S)
    ended = time.monotonic()
    await asyncio.sleep(SETTLE_S)
    sampling.cancel()
    suffered.above_idle_mb = max(0.0, suffered.tally.figures.pop("web_mb", 0.0) - idle_mb)
    suffered.restarts = scene_.restarts - restarts
    suffered.stood_still = not is_well
    if suffered.stood_still and goes_on:
        await _restart(scene_, witness)
    suffered.seen = witness.seen(began, ended)
    suffered.broken = dict(scene_.broken_answers())
    if load.after is not None:
        with _told(suffered.tally):
            await asyncio.to_thread(load.after, scene_, suffered.tally)
    return suffered


@contextmanager
def _told(tally: Tally) -> Generator[None]:
    """A part of a load that could not be done is counted among its outcomes, and the siege goes on."""
    try:
        yield
    except (httpx2.HTTPError, SQLAlchemyError, OSError, AssertionError, LookupError) as error:
        tally.add(f"{BROKE}: {type(error).__name__}")


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
    seconds: float,
    chosen: Sequence[Load] = LOADS,
    *,
    settings: dict[str, str] | None = None,
    goes_on: bool = True,
) -> list[Suffered]:
    """So many seconds of each load on a product in a home of its own; prints a line for each.

    Unless it `goes_on`, the first load that leaves the service silent is the last.
    """
    with _many_files_open(), scene(settings) as scene_:
        asked = Asked(scene_.address, scene_.reads())
        with witnesses(asked, journal_of(scene_)) as witness:
            return asyncio.run(_all(scene_, witness, chosen, seconds, goes_on))


async def _all(
    scene_: Scene, witness: Witness, chosen: Sequence[Load], seconds: float, goes_on: bool
) -> list[Suffered]:
    await asyncio.sleep(min(seconds, 4))  # the readers have been everywhere: everything is loaded
    idle_mb = scene_.web_mb()
    print(f"the web process takes {idle_mb:.0f} MB when idle")
    print(heading(), flush=True)
    found: list[Suffered] = []
    for load in chosen:
        found.append(await _suffer(scene_, witness, load, seconds, idle_mb, goes_on=goes_on))
        show(found[-1])
        if found[-1].stood_still and not goes_on:
            break
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

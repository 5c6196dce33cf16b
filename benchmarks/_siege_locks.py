"""The loads of point 4: a session that holds rows and the sweeper's lock, and a worker that is frozen, during a run."""

import asyncio
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress

import psutil
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from benchmarks._product import await_end, generate, llm_processes, one, prepare
from benchmarks._siege_scene import Scene, Tally

PROJECT = "runs"  # of its own: the others have nothing to do with it
ITEMS = 200
HELD = 10
SWEEP_LOCK = 7_200_915  # as in app/engine/sweep.py
_ALONE_S = 60
_BEGIN_S = 20
_END_S = 15

_HOLD = """
    SELECT id FROM work_item WHERE run_id = :run AND state = 'leased' ORDER BY id LIMIT :held
    FOR UPDATE SKIP LOCKED"""
_OPEN = """
    SELECT count(*) FROM work_item WHERE run_id = :run AND state IN ('pending', 'leased') AND id <> ALL(:held)"""


def prepare_runs(scene: Scene) -> None:
    """A project to generate in, and how long a run takes there with nothing in its way."""
    prepare(scene.product, PROJECT, ITEMS // 4 + 1)
    began = time.monotonic()
    await_end(scene.database, generate(scene.product, PROJECT, ITEMS), _ALONE_S)
    scene.alone_s = time.monotonic() - began


async def held_rows(scene: Scene, tally: Tally, until: float) -> None:
    await asyncio.to_thread(_beside_held_rows, scene, tally, until)


async def a_frozen_worker(scene: Scene, tally: Tally, until: float) -> None:
    await asyncio.to_thread(_beside_a_frozen_worker, scene, tally, until)


def _beside_held_rows(scene: Scene, tally: Tally, until: float) -> None:
    """Ten leased items, the run beside it and the sweeper's lock are held by a session that does nothing more."""
    seconds = until - time.monotonic()
    other, run = generate(scene.product, PROJECT, ITEMS), generate(scene.product, PROJECT, ITEMS)
    with _holding(scene, run, other) as held:
        tally.add(f"held {len(held)}")
        _watch(scene, tally, run, held, seconds)
    for number in (run, other):
        tally.add(f"run {await_end(scene.database, number, _END_S)}")


@contextmanager
def _holding(scene: Scene, run: int, other: int) -> Generator[list[int]]:
    deadline = time.monotonic() + _BEGIN_S
    with scene.database.connect() as connection:
        held: list[int] = []
        try:
            while len(held) < HELD and time.monotonic() < deadline:
                connection.rollback()
                found = connection.execute(text(_HOLD), {"run": run, "held": HELD})
                held = [row[0] for row in found]
            connection.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": SWEEP_LOCK})
            connection.execute(text("SELECT id FROM run WHERE id = :run FOR UPDATE"), {"run": other})
        except SQLAlchemyError:
            pass  # what is held by then will do
        yield held
        with suppress(SQLAlchemyError):  # the database may have ended this session
            connection.rollback()


def _beside_a_frozen_worker(scene: Scene, tally: Tally, until: float) -> None:
    """One of the processes that ask models stands still, with everything it holds."""
    seconds = until - time.monotonic()
    run = generate(scene.product, PROJECT, ITEMS)
    with ExitStack() as frozen:
        _await_leases(scene, run)
        stopped = llm_processes(scene.product)[1][-1]
        stopped.suspend()
        frozen.callback(_resume, stopped)
        held = _held_by(scene, run, stopped.pid)
        tally.add(f"held {len(held)}")
        _watch(scene, tally, run, held, seconds)
    tally.add(f"run {await_end(scene.database, run, _END_S)}")


def _await_leases(scene: Scene, run: int) -> None:
    deadline = time.monotonic() + _BEGIN_S
    leased = "SELECT count(DISTINCT lease_owner) FROM work_item WHERE run_id = :run AND state = 'leased'"
    while one(scene.database, leased, run=run) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)


def _held_by(scene: Scene, run: int, pid: int) -> list[int]:
    leased = "SELECT id FROM work_item WHERE run_id = :run AND state = 'leased' AND lease_owner LIKE :owner"
    with scene.database.connect() as connection:
        found = connection.execute(text(leased), {"run": run, "owner": f"%:{pid}"})
        return [row[0] for row in found]


def _watch(scene: Scene, tally: Tally, run: int, held: list[int], seconds: float) -> None:
    """How much of what is not held gets done in so long, or in twice the time that it takes alone."""
    until = time.monotonic() + max(seconds, 2 * scene.alone_s)
    left = ITEMS
    while time.monotonic() < until and left:
        time.sleep(0.2)
        left = one(scene.database, _OPEN, run=run, held=held)
    done = "SELECT count(*) FROM work_item WHERE run_id = :run AND outcome IS NOT NULL"
    finished = one(scene.database, done, run=run)
    tally.least("done_beside_what_is_held", finished / max(ITEMS - len(held), 1))


def _resume(process: psutil.Process) -> None:
    try:
        process.resume()
    except psutil.NoSuchProcess:
        return

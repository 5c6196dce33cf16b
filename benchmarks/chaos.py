"""Kills, flushes and a restart of the database in the middle of a run; then everything is counted.

    python -m benchmarks.chaos [--full]

500 instances, each generated and judged, 64 in flight, 5 % errors and 5 % unusable replies. A worker process and
later everything is killed (-9), Redis is flushed, Postgres restarted, and for a while Redis does not answer. With
`--full` 2,000 instances, five kills (the supervisor's among them), two flushes, and a minute without Redis. Every
instance must have exactly one outcome, the counts must add up at every look, no more calls may be paid twice than
were open at the kills, the ledger must explain the server's own count, and nothing may be left running.
"""

import contextlib
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import psutil
import redis
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

import benchmarks
from benchmarks._product import (
    ENDED,
    ModelServer,
    database_of,
    environment,
    fresh_home,
    generate,
    llm_processes,
    model_server,
    one,
    prepare,
    violations,
)
from tests.stack.product import Product, kill, start

PATIENCE_S = 300
RESTART_S = 60
ORPHAN_S = 20  # for what a killed supervisor had started to end by itself
LOOK_EVERY_S = 0.1
PROJECT = "chaos"

_OPEN_CALLS = """
    SELECT count(*) FROM call JOIN work_item AS item ON item.id = call.item_id
    WHERE call.state = 'sent' AND item.lease_owner = ANY(:owners)"""
_END_LEASES = """
    UPDATE work_item SET lease_expires_at = now() - interval '1 second'
    WHERE state = 'leased' AND lease_owner = ANY(:owners)"""
_LOST = "SELECT count(*) FROM call WHERE run_id = :run AND state = 'unknown' AND error_code = 'lost'"


class Round:
    """One run that is interrupted, and what was seen of it."""

    def __init__(self, server: ModelServer, home: Path, in_flight: int, *, await_leases: bool) -> None:
        """Without `await_leases` those of a killed process are over at once: a test need not wait for them."""
        self._home = home
        self._environment = environment(server, in_flight)
        self._await_leases = await_leases
        self.product = self._start()
        self.run_id = 0
        self.struck: Counter[str] = Counter()
        self.open_at_kills = 0
        self.looks = 0
        self.wrong_looks: list[str] = []
        self.orphans: list[str] = []

    def _start(self) -> Product:
        return start(self._home, demo=False, **self._environment)

    def go(self, items: int, blows: "Sequence[Blow]") -> dict[str, Any]:
        """Make the instances, striking whenever the next share of them is done. Returns the run as last seen."""
        prepare(self.product, PROJECT, items // 4 + 1)
        self.run_id = generate(self.product, PROJECT, items)
        waiting = list(blows)
        seen: dict[str, Any] = {}
        deadline = time.monotonic() + PATIENCE_S
        while seen.get("state") not in ENDED and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
            seen = self.look() or seen
            struck = len(blows) - len(waiting)
            if waiting and sum(seen.get("done", {}).values()) >= items * (struck + 1) / (len(blows) + 1):
                waiting.pop(0)(self)
        return seen

    def look(self) -> dict[str, Any] | None:
        """The run as REST shows it; None while a part of the product is away."""
        try:
            answer = self.product.request("GET", f"/api/v1/projects/{PROJECT}/runs/{self.run_id}")
        except httpx2.HTTPError:
            return None
        if answer.status_code != 200:
            return None
        seen: dict[str, Any] = answer.json()
        self.looks += 1
        if seen["total"] != sum(seen["done"].values()) + seen["pending"]:
            self.wrong_looks.append(f"look {self.looks} does not add up: {seen}")
        return seen

    # --- blows --------------------------------------------------------------------------------------------

    def kill_a_child(self) -> None:
        """The one that holds most."""
        _, children = llm_processes(self.product)
        held = self._held_by(children)
        self._kill([max(children, key=lambda child: held[_owner(child)])])

    def kill_the_parent(self) -> None:
        """The supervisor ends its children and starts it again."""
        parent, children = llm_processes(self.product)
        parent.kill()
        self._await_end([parent, *children])
        self._count_a_kill(children)

    def kill_everything(self) -> None:
        _, children = llm_processes(self.product)
        self.product.kill_everything()
        self.product = self._start()
        self._count_a_kill(children)

    def kill_the_supervisor(self) -> None:
        """What it had started ends by itself, or is an orphan."""
        _, children = llm_processes(self.product)
        started = [one for one in self.product.processes() if one.pid != self.product.process.pid]
        self.product.kill_supervisor()
        self._await_end(started, ORPHAN_S)
        self.orphans += [f"orphan: {one}" for one in started if _is_there(one)]
        self.product = self._start()
        self._count_a_kill(children)

    def lose_redis(self, seconds: float = 4) -> None:
        """It is there, but it does not answer."""
        redis_server = next(one for one in self.product.processes() if one.name() == "redis-server")
        redis_server.suspend()
        try:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                time.sleep(LOOK_EVERY_S)
                self.look()
        finally:
            redis_server.resume()
        self.struck["redis_away"] += 1

    def lose_redis_for_a_minute(self) -> None:
        self.lose_redis(60)

    def flush_redis(self) -> None:
        with redis.Redis.from_url(self.product.record["redis_url"]) as client:
            client.flushall()
        self.struck["flushes"] += 1

    def restart_postgres(self) -> None:
        """An immediate shutdown: Postgres does not even close its files, and recovers when it is started again."""
        postmaster = next(
            child
            for child in psutil.Process(self.product.process.pid).children()
            if child.name() == "postgres"
        )
        postmaster.send_signal(signal.SIGQUIT)
        self._await_end([postmaster])
        deadline = time.monotonic() + RESTART_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OperationalError), database_of(self.product) as database:
                self.struck["restarts"] += one(database, "SELECT 1")
                return
            time.sleep(LOOK_EVERY_S)

    def _kill(self, processes: Sequence[psutil.Process]) -> None:
        kill(processes)
        self._await_end(processes)
        self._count_a_kill(processes)

    def _await_end(self, processes: Sequence[psutil.Process], patience_s: float = RESTART_S) -> None:
        deadline = time.monotonic() + patience_s
        while any(map(_is_there, processes)) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _count_a_kill(self, killed: Sequence[psutil.Process]) -> None:
        """Nobody touches what the dead held before their leases are over: it can be counted at leisure."""
        self.struck["kills"] += 1
        owners = [_owner(process) for process in killed]
        with database_of(self.product) as database:
            self.open_at_kills += one(database, _OPEN_CALLS, owners=owners)
            if not self._await_leases:
                with database.begin() as connection:
                    connection.execute(text(_END_LEASES), {"owners": owners})

    def _held_by(self, children: Sequence[psutil.Process]) -> Counter[str]:
        owners = [_owner(child) for child in children]
        held = "SELECT count(*) FROM work_item WHERE state = 'leased' AND lease_owner = :owner"
        with database_of(self.product) as database:
            return Counter({owner: one(database, held, owner=owner) for owner in owners})


Blow = Callable[[Round], None]
QUICK: Sequence[Blow] = (
    Round.kill_a_child,
    Round.flush_redis,
    Round.lose_redis,
    Round.restart_postgres,
    Round.kill_everything,
)
FULL: Sequence[Blow] = (
    Round.kill_a_child,
    Round.flush_redis,
    Round.kill_the_parent,
    Round.restart_postgres,
    Round.kill_a_child,
    Round.lose_redis_for_a_minute,
    Round.kill_everything,
    Round.flush_redis,
    Round.kill_the_supervisor,
)


def run(full: bool) -> dict[str, Any]:
    return measure(2000, FULL) if full else measure(500, QUICK)


def measure(
    items: int,
    blows: Sequence[Blow],
    *,
    in_flight: int = 64,
    latency_s: float = 0.5,
    await_leases: bool = True,
) -> dict[str, Any]:
    """One round. `broken` says what did not hold, and is empty when all is well."""
    started = time.monotonic()
    with model_server(latency_s=latency_s, errors=0.05, unusable=0.05) as server, fresh_home() as home:
        round_ = Round(server, home, in_flight, await_leases=await_leases)
        try:
            seen = round_.go(items, blows)
            with database_of(round_.product) as database:
                broken = [*violations(database, round_.run_id, seen), *round_.wrong_looks, *round_.orphans]
                lost = int(one(database, _LOST, run=round_.run_id))
            ledger = round_.product.calls(round_.run_id)
        finally:
            round_.product.stop()
        stats = server.stats()
        broken += [f"still running: {process}" for process in processes_of(home)]
    broken += unexplained(ledger, lost, stats)
    if round_.struck.total() < len(blows):
        broken.append(f"of {len(blows)} blows only {dict(round_.struck)}")
    if stats["duplicates"] > round_.open_at_kills:
        broken.append(f"{stats['duplicates']} paid twice, {round_.open_at_kills} open at the kills")
    return {
        "items": items,
        "kills": round_.struck["kills"],
        "flushes": round_.struck["flushes"],
        "restarts": round_.struck["restarts"],
        "conserved": not broken,
        "paid_twice": stats["duplicates"],
        "in_flight_at_kills": round_.open_at_kills,
        "unknown": ledger["unknown"],
        "lost": lost,
        "ledger": dict(ledger),
        "server": {name: stats[name] for name in ("calls", "answered", "abandoned", "sent")},
        "done": seen.get("done"),
        "looks": round_.looks,
        "seconds": round(time.monotonic() - started, 1),
        "broken": broken,
    }


def unexplained(ledger: Counter[str], lost: int, stats: dict[str, Any]) -> list[str]:
    """Where the ledger and the server's own count differ by more than the calls that the ledger calls unknown.

    `lost` of those were open when their process was killed: they may or may not have reached the server.
    """
    found: list[str] = []
    known = ledger["done"] + ledger["failed"]
    if not known + ledger["unknown"] - lost <= stats["calls"] <= known + ledger["unknown"]:
        found.append(f"the ledger has {dict(ledger)}, {lost} of them lost; the server saw {stats['calls']}")
    if not ledger["done"] <= stats["answered"] <= ledger["done"] + ledger["unknown"]:
        found.append(f"the ledger has {dict(ledger)}; the server answered {stats['answered']}")
    return found


def processes_of(home: Path) -> list[str]:
    """What still works in or for the folder."""
    return [
        f"{process.pid} {process.name()}"
        for process in psutil.process_iter()
        if _is_there(process) and _works_in(process, home)
    ]


def _works_in(process: psutil.Process, home: Path) -> bool:
    try:
        named = [process.cwd(), *process.cmdline(), *process.environ().values()]
    except psutil.Error:  # gone meanwhile, or somebody else's
        return False
    return any(str(home) in one for one in named)


def _is_there(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _owner(process: psutil.Process) -> str:
    """The name under which a worker process holds its leases."""
    return f"{socket.gethostname()}:{process.pid}"


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

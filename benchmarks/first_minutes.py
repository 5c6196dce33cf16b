"""From a fresh data folder to instances that wait for review, and a second start.

    python -m benchmarks.first_minutes

Seconds from the start of `breakwater up` to `ready:`, to a demo project with 2,000 snippets, 200 picks and 400
judged instances; the most memory of all processes together meanwhile (sum of PSS); seconds to `ready:` again.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import text

import benchmarks
from app.storage.database import make_engine
from benchmarks._product import fresh_home
from tests.stack.product import CONFIGURED, ROOT

WANTED = {"snippets": 2000, "picks": 200, "judged": 400}
GIVE_UP_S = 300
_COUNTS = text(
    "SELECT (SELECT count(*) FROM snippet) AS snippets, (SELECT count(*) FROM pick) AS picks,"
    " (SELECT count(*) FROM instance WHERE status = 'waiting' AND verdict IS NOT NULL) AS judged"
)


def start(home: Path) -> tuple[subprocess.Popen[str], float]:
    """Start the product; returns it and the seconds until it said `ready:`.

    Unlike `tests.stack.product.start` it makes no token, which would take its time.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURED)}
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "up"],
        cwd=home.parent,
        env=inherited | {"BREAKWATER_HOME": str(home), "PORT": "0", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("ready:"):
            return process, time.monotonic() - started
    raise SystemExit("the product did not start")


def stop(process: subprocess.Popen[str]) -> float:
    started = time.monotonic()
    process.terminate()
    process.wait(timeout=60)
    return time.monotonic() - started


def pss_mb(process: subprocess.Popen[str]) -> float:
    """Memory of a process and all below it, each shared page counted once, in MiB."""
    top = psutil.Process(process.pid)
    total = 0
    for one in [top, *top.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def measure(home: Path) -> dict[str, Any]:
    process, ready_s = start(home)
    most_mb = 0.0
    counts: dict[str, int] = {}
    try:
        began = time.monotonic()
        database = make_engine(json.loads((home / "supervisor.json").read_text())["database_url"])
        while time.monotonic() - began < GIVE_UP_S:
            most_mb = max(most_mb, pss_mb(process))
            with database.connect() as connection:
                counts = {
                    name: int(rows) for name, rows in connection.execute(_COUNTS).mappings().one().items()
                }
            if all(counts[name] >= wanted for name, wanted in WANTED.items()):
                break
            time.sleep(0.5)
        demo_s = time.monotonic() - began
        database.dispose()
        time.sleep(5)
        rest_mb = pss_mb(process)
    finally:
        stop_s = stop(process)
    again, second_start_s = start(home)
    stop(again)
    return {
        "ready_s": round(ready_s, 1),
        "demo_s": round(demo_s, 1),
        **counts,
        "most_pss_mb": round(most_mb),
        "pss_after_mb": round(rest_mb),
        "stop_s": round(stop_s, 1),
        "second_start_s": round(second_start_s, 1),
    }


def run(full: bool) -> dict[str, Any]:
    """The sizes are the same with `full`."""
    with fresh_home() as home:
        return measure(home)


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

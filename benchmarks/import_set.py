"""How long a finished set takes from a file to instances that people can read, and to the first card of its audit.

    python -m benchmarks.import_set [--full]

5,000 Alpaca rows, with `--full` 50,000, made of functions of the Python standard library with a number in each. The
product runs; `breakwater import` is started as a command and followed to its end. `seconds` are from its start to its
end, the start of Python and of the worker's step included; `first_card_s` to the first card after `breakwater audit`,
which is the second of the two commands; `job_s` is the run alone, by the database's clock;
`language_share` is the share of rows whose language was recognised as Python, as no row names one. `cpu_s` is the
processor time of workers and Postgres; `peak_rss_mb` the most memory that the worker's processes hold together.
"""

import json
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil

import benchmarks
from benchmarks._product import cpu_seconds, database_of, fresh_home, functions, one
from tests.stack.product import Product, running

PROJECT = "finished"


def run(full: bool) -> dict[str, Any]:
    return measure(50_000 if full else 5_000)


def measure(rows: int) -> dict[str, Any]:
    with fresh_home() as home, running(home) as product, database_of(product) as database:
        path = home.parent / "set.jsonl"
        size = write_set(path, rows)
        print(f"{rows:,} rows, {size / 2**20:.1f} MiB", flush=True)
        before = cpu_seconds(product)
        with _peak_mb(product) as peak:
            began = time.monotonic()
            ended = json.loads(product.cli("import", PROJECT, str(path), "--license", "PSF-2.0", "--json"))
            seconds = time.monotonic() - began
            audit = json.loads(
                product.cli("audit", PROJECT, "--max-defect-rate", "0.02", "--alpha", "0.05", "--json")
            )
            card = _first_card(product, audit["id"])
            first_card_s = time.monotonic() - began
        after = cpu_seconds(product)
        waiting = one(
            database,
            "SELECT count(*) FROM instance WHERE run_id = :run AND status = 'waiting'",
            run=ended["id"],
        )
        known = one(
            database,
            "SELECT count(*) FROM instance WHERE run_id = :run AND language = 'python'",
            run=ended["id"],
        )
        job_s = one(
            database,
            "SELECT extract(epoch FROM finished_at - created_at) FROM run WHERE id = :run",
            run=ended["id"],
        )
    assert ended["state"] == "completed", ended
    assert ended["total"] == sum(ended["done"].values()) == rows, ended
    assert waiting == ended["done"]["added"] == audit["rows"], ended
    assert card["instance"]["run_id"] == ended["id"]
    return {
        "rows": waiting,
        "seconds": round(seconds, 1),
        "first_card_s": round(first_card_s, 1),
        "job_s": round(float(job_s), 1),
        "rows_per_s": round(waiting / seconds),
        "language_share": round(known / waiting, 3),
        "peak_rss_mb": round(max(peak)),
        "cpu_s": round(sum(after[part] - before[part] for part in ("workers", "rest", "postgres")), 1),
    }


def _first_card(product: Product, audit_id: int) -> Any:
    """What a reader of the audit is given first."""
    asked = {"stream": "audit", "audit_id": audit_id}
    return product.post(f"/api/v1/projects/{PROJECT}/review/next", json=asked).json()


def write_set(path: Path, rows: int) -> int:
    """Alpaca rows whose texts all differ. Returns the size in bytes."""
    with path.open("w") as file:
        for number, function in enumerate(islice(_functions(), rows)):
            first = function["docstring"].split("\n\n")[0]
            row = {
                "instruction": f"Write the function {function['func_name']}, number {number}: {first}",
                "input": "",
                "output": f"{dedent(function['code'])}\n\n# {number}\n",
            }
            file.write(json.dumps(row) + "\n")
    return path.stat().st_size


def _functions() -> Iterator[dict[str, Any]]:
    return cycle(list(functions("set")))


@contextmanager
def _peak_mb(product: Product) -> Generator[list[float]]:
    """What the processes of the worker for processor work hold together, looked at ten times a second; MiB."""
    seen, over = [0.0], threading.Event()
    workers = [one for one in product.processes() if "--queues cpu" in " ".join(one.cmdline())]

    def look() -> None:
        while not over.wait(0.1):
            seen.append(sum(map(_rss, workers)) / 2**20)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _rss(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

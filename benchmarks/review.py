"""Whether the review screen keeps up with 50 readers, and lists beside them, however many instances wait.

    python -m benchmarks.review [--full]

100,000 instances and 30 s, with `--full` a million and a minute. 50 readers decide every 2 to 6 s on the real page
route: session, CSRF token, lease, decision, next card rendered. The readers are one process on the same cores. The
figures without a mark are the server's, of its own log, from the first line of a request to the last byte of the
answer; `client_` ones are what the readers saw. Lists are asked for beside them, twice a second. Then the readers
hurry, by half more at each step, until the server's p95 passes 30 ms. Milliseconds, MiB, decisions per second;
`cpu_s` is the processor time of that minute, lists included, in seconds.
"""

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import psutil

import benchmarks
from app.web.dependencies import SESSION_COOKIE
from app.web.pagination import cursor_of
from benchmarks._instances import FREQUENT_WORD, RARE_WORD, Seeded, seed
from benchmarks._product import cpu_seconds, database_of, fresh_home, process_of
from benchmarks._readers import MIX, Asked, Happened, read
from tests.stack.product import Product, running

READERS = 50
THINK_S = (2.0, 6.0)
LISTS_PER_S = 2.0
TARGET_MS = 30
STEP, STEPS, STEP_S = 1.5, 8, 10
API = "/api/v1/projects/large/instances"


def run(full: bool) -> dict[str, Any]:
    return measure(1_000_000, 60) if full else measure(100_000, 30)


def measure(instances: int, seconds: float) -> dict[str, Any]:
    with fresh_home() as home, running(home, LOG_FORMAT="json") as product, database_of(product) as database:
        began = time.monotonic()
        seeded = seed(database, instances, READERS)
        print(f"seeded in {time.monotonic() - began:.0f} s", flush=True)
        load = Load(product, seeded, lists(product, instances))
        pages = load.pages()
        load.step("first", 5, THINK_S)  # plans, templates and caches
        web = process_of(product, "web")
        start_mb, start_cpu = _pss_mb(web), cpu_seconds(product)
        beside = load.step("minute", seconds, THINK_S, with_lists=True)
        end_mb, end_cpu = _pss_mb(web), cpu_seconds(product)
        rate, errors = load.highest_rate()
        last_mb = _pss_mb(web)
        took = load.took_ms("minute")
    decide = [ms for kind in MIX for ms in took[kind]]
    cpu = {part: round(end_cpu[part] - start_cpu[part], 1) for part in ("web", "postgres")}
    listed = {name: took[name] for name in sorted(beside.list_ms)}
    all_errors = beside.errors + errors
    for error in all_errors[:5]:
        print(f"error: {error}")
    return {
        "instances": instances,
        "reviewers": READERS,
        "decisions": len(decide),
        "p50_ms": round(statistics.median(decide), 1),
        "p95_ms": p95(decide),
        "most_ms": max(decide),
        "client_p50_ms": round(statistics.median(beside.decide_ms), 1),
        "client_p95_ms": p95(beside.decide_ms),
        "errors": len(all_errors),
        "rate": round(len(decide) / seconds, 1),
        "rate_at_30ms": rate,
        "card_kb": round(statistics.mean(beside.bytes) / 1000, 1),
        "lists_p95_ms": p95([ms for all_ms in listed.values() for ms in all_ms]),
        "lists_client_p95_ms": p95([ms for all_ms in beside.list_ms.values() for ms in all_ms]),
        "lists_most_ms": {name: max(all_ms) for name, all_ms in listed.items()},
        "pages_ms": pages,
        "cpu_s": cpu,
        "web_start_mb": start_mb,
        "web_end_mb": end_mb,
        "web_after_ramp_mb": last_mb,
    }


def lists(product: Product, instances: int) -> list[tuple[str, str, str]]:
    """(name, path, Authorization) of every list that is asked for: each over REST and as a page."""
    deep = f"cursor={cursor_of(instances * 9 // 10)}"
    queries = {
        "all": "",
        "deep": deep,
        "waiting": "status=waiting",
        "rare_status": "status=unusable",
        "no_status": "status=withdrawn",
        "deep_rejected": f"status=rejected&{deep}",
        "combined": "status=waiting&task=repair&language=go&verdict=invalid",
        "rare_word": f"q={RARE_WORD}",
        "frequent_word": f"q={FREQUENT_WORD}",
        "frequent_word_filtered": f"q={FREQUENT_WORD}&status=rejected&task=translation",
        "no_such_word": "q=xylophonist",
    }
    bearer = f"Bearer {product.token}"
    return [
        (f"{kind}_{name}", f"{path}?{query}", authorization)
        for name, query in queries.items()
        for kind, path, authorization in (("rest", API, bearer), ("page", "/instances", ""))
    ]


class Load:
    """Readers before a product, and what its log says of them."""

    def __init__(self, product: Product, seeded: Seeded, asked_lists: list[tuple[str, str, str]]) -> None:
        self.product, self.seeded, self.lists = product, seeded, asked_lists

    def step(
        self, label: str, seconds: float, think_s: tuple[float, float], *, with_lists: bool = False
    ) -> Happened:
        asked = Asked(self.product.url, label, self.seeded.cookies, seconds, think_s)
        if with_lists:
            asked.lists, asked.lists_per_s = self.lists, LISTS_PER_S
        return read(asked)

    def took_ms(self, label: str) -> dict[str, list[float]]:
        """What the server's log says of this step, by kind of request."""
        took: dict[str, list[float]] = defaultdict(list)
        with (self.product.home / "logs" / "web.log").open() as log:
            for line in log:
                if f'"{label}:' in line:
                    entry = json.loads(line)
                    took[entry["request_id"].partition(":")[2]].append(entry["took_ms"])
        return took

    def highest_rate(self) -> tuple[float, list[str]]:
        """The most decisions per second within the target, 0 if none; and what went wrong."""
        best, errors, quicker = 0.0, list[str](), 1.0
        for number in range(STEPS):
            happened = self.step(f"step{number}", STEP_S, (THINK_S[0] / quicker, THINK_S[1] / quicker))
            took = self.took_ms(f"step{number}")
            decide = [ms for kind in MIX for ms in took[kind]]
            rate = round(len(decide) / happened.seconds, 1)
            print(
                f"{rate} decisions/s: server p50 {statistics.median(decide)} p95 {p95(decide)} ms,"
                f" client p95 {p95(happened.decide_ms)} ms",
                flush=True,
            )
            errors += happened.errors
            if p95(decide) > TARGET_MS:
                break
            best, quicker = rate, quicker * STEP
        return best, errors

    def pages(self) -> dict[str, float]:
        """Single pages with nothing else going on: the best of three, as the client sees it."""
        paths = {
            "overview": "/",
            "review": "/review",
            "nothing_matches": "/review?q=xylophonist",
            "frequent_word": f"/review?q={FREQUENT_WORD}",
            "rare_word": f"/review?q={RARE_WORD}",
            "combined": "/review?task=repair&language=go&verdict=invalid",
        } | {name: path for name, path, authorization in self.lists if not authorization}
        with httpx2.Client(
            base_url=self.product.url, cookies={SESSION_COOKIE: self.seeded.cookies[0]}, timeout=120
        ) as browser:
            return {name: _quickest_ms(lambda path=path: browser.get(path)) for name, path in paths.items()}


def p95(all_ms: Sequence[float]) -> float:
    """So much that 95 of 100 took no longer."""
    return round(sorted(all_ms)[-(-95 * len(all_ms) // 100) - 1], 1)


def _quickest_ms(act: Callable[[], httpx2.Response]) -> float:
    def once() -> float:
        started = time.perf_counter()
        act().raise_for_status()
        return (time.perf_counter() - started) * 1000

    return round(min(once() for _ in range(3)), 1)


def _pss_mb(process: psutil.Process) -> float:
    return round(process.memory_full_info().pss / 2**20, 1)


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

"""Whether a long run slows down or swells: worker memory, the claim and the page of the run, from start to end.

    python -m benchmarks.long_run [--full]

3,000 instances, with `--full` 200,000, made and judged offline: there is no model to wait for, so that the engine's
own work is all there is. The claim is `app.engine.items.claim`, rolled back. "Early" is after a tenth of the
instances, "late" after nine tenths; a run of 200 instances is beside it for the page.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import httpx2
from sqlalchemy import Engine
from sqlalchemy.orm import Session

import benchmarks
from app.accounts.service import person_named
from app.accounts.sessions import open_session
from app.engine.items import claim
from app.pipeline import MODEL_STAGES, OFFLINE
from app.web.dependencies import SESSION_COOKIE
from benchmarks._product import (
    ENDED,
    await_end,
    database_of,
    fresh_home,
    generate,
    llm_processes,
    one,
    prepare,
    violations,
)
from tests.stack.product import Product, running

SMALL = 200
CLAIMED = 40  # as many as a worker of the usual size has room for
PATIENCE_S = 2 * 3600
TASKS = {"summarization": 1, "generation": 1, "repair": 1}  # what can be made offline
PROJECT = "long"


class Sample(NamedTuple):
    """The product at one moment of the run."""

    at_s: float
    done: int
    pss_mb: float  # of all processes that work on model items
    rss_mb: float
    claim_ms: float
    page_ms: float


def run(full: bool) -> dict[str, Any]:
    return measure(200_000, 3000, every_s=20) if full else measure(3000, 500, every_s=3)


def measure(items: int, picks: int, every_s: float) -> dict[str, Any]:
    with fresh_home() as home, running(home) as product, database_of(product) as database:
        prepare(product, PROJECT, picks)
        with _browser(product, database) as browser:
            small = _start(product, SMALL)
            await_end(database, small, PATIENCE_S)
            small_ms = _quickest_ms(lambda: _open(browser, small))
            began = time.monotonic()
            run_id = _start(product, items)
            samples = _watch(product, database, browser, run_id, every_s)
            seconds = time.monotonic() - began
            ended_ms = _quickest_ms(lambda: _open(browser, run_id))
        broken = violations(database, run_id, product.get(f"/api/v1/projects/{PROJECT}/runs/{run_id}"))
    for sample in samples[:: max(1, len(samples) // 20)]:
        print("  ".join(f"{name} {value:.1f}" for name, value in sample._asdict().items()))
    for what in broken:
        print(f"not conserved: {what}")
    early, late = _around(samples, items * 0.1), _around(samples, items * 0.9)
    return {
        "items": items,
        "seconds": round(seconds, 1),
        "items_per_s": round(items / seconds, 1),
        "conserved": not broken,
        "pss_early_mb": round(early.pss_mb, 1),
        "pss_late_mb": round(late.pss_mb, 1),
        "rss_early_mb": round(early.rss_mb, 1),
        "rss_late_mb": round(late.rss_mb, 1),
        "claim_early_ms": round(early.claim_ms, 2),
        "claim_late_ms": round(late.claim_ms, 2),
        "page_early_ms": round(early.page_ms, 1),
        "page_late_ms": round(late.page_ms, 1),
        "page_ended_ms": round(ended_ms, 1),
        "page_of_200_ms": round(small_ms, 1),
    }


def _start(product: Product, items: int) -> int:
    return generate(product, PROJECT, items, tasks=TASKS, generator=OFFLINE, discriminator=OFFLINE)


def _watch(
    product: Product, database: Engine, browser: httpx2.Client, run_id: int, every_s: float
) -> list[Sample]:
    """Samples until the run has ended, at least one."""
    samples: list[Sample] = []
    state = "SELECT state FROM run WHERE id = :run"
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE_S:
        due = time.monotonic() + every_s
        samples.append(_sample(product, database, browser, run_id, began))
        if one(database, state, run=run_id) in ENDED:
            break
        time.sleep(max(0.0, due - time.monotonic()))
    return samples


def _sample(product: Product, database: Engine, browser: httpx2.Client, run_id: int, began: float) -> Sample:
    done = "SELECT coalesce(sum(rows), 0) FROM run_count WHERE run_id = :run"
    parent, children = llm_processes(product)
    memory = [process.memory_full_info() for process in (parent, *children)]
    return Sample(
        at_s=time.monotonic() - began,
        done=int(one(database, done, run=run_id)),
        pss_mb=sum(each.pss for each in memory) / 2**20,
        rss_mb=sum(each.rss for each in memory) / 2**20,
        claim_ms=_quickest_ms(lambda: _claim(database)),
        page_ms=_quickest_ms(lambda: _open(browser, run_id)),
    )


def _around(samples: Sequence[Sample], done: float) -> Sample:
    """The median of the three samples nearest to so many instances, figure by figure."""
    nearest = sorted(samples, key=lambda sample: abs(sample.done - done))[:3]
    return Sample(*map(statistics.median, zip(*nearest, strict=True)))


def _claim(database: Engine) -> None:
    """What a worker does when it has room, without keeping it."""
    with Session(database) as session:
        claim(session, MODEL_STAGES, CLAIMED, "benchmark")
        session.rollback()


def _open(browser: httpx2.Client, run_id: int) -> None:
    browser.get(f"/runs/{run_id}").raise_for_status()


def _quickest_ms(act: Callable[[], None]) -> float:
    """The best of three: the machine has other work, too, and this must not become much of it."""

    def once() -> float:
        started = time.perf_counter()
        act()
        return (time.perf_counter() - started) * 1000

    return min(once() for _ in range(3))


def _browser(product: Product, database: Engine) -> httpx2.Client:
    """Somebody who is signed in as `admin`."""
    with Session(database) as session:
        admin = person_named(session, "admin")
        assert admin is not None
        admin.must_change_password = False
        cookie = open_session(session, admin)
        session.commit()
    return httpx2.Client(base_url=product.url, cookies={SESSION_COOKIE: cookie}, timeout=60)


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

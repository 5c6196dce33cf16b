"""What a run costs the others when its provider answers oddly: a healthy run alone, then beside each odd one.

    python -m benchmarks.poison [--full]

The healthy run asks a model that answers in 300 ms; beside it another run asks a model that answers in one of the
ways of `tests.odd_replies`. Share: calls recorded per second over the middle 80 % of the healthy run, over the same
of a healthy run alone just before or after. Quick: the ways that once stopped others; `--full`: all of them.
"""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

import benchmarks
from benchmarks._product import (
    ModelServer,
    await_end,
    database_of,
    environment,
    fresh_home,
    generate,
    model_server,
    one,
    prepare,
    violations,
)
from tests.odd_replies import ODD
from tests.stack.product import Product, running

QUICK = ("retry_inf", "retry_epoch_us", "retry_none", "drip", "usage_absurd", "repeat_loop")
INSTANCES = 150  # of a healthy run, each two calls
IN_FLIGHT = 16  # of each model, over all workers
LATENCY_S = 0.3
ALONE_EVERY = 3  # modes: the machine is not always as quick
PATIENCE_S = 120


def run(full: bool) -> dict[str, Any]:
    modes = tuple(ODD) if full else QUICK
    with model_server(latency_s=LATENCY_S, drip_s=1.0) as server, fresh_home() as home:
        settings = environment(server, IN_FLIGHT)
        with running(home, demo=False, **settings) as product, database_of(product) as database:
            found = _Rounds(product, database, server).of(modes)
            found["drains_died"] = _said(home, "drain_fault")
    return found


class _Rounds:
    """Healthy runs one after the other, each of a model of its own: what was asked once is not asked again."""

    def __init__(self, product: Product, database: Engine, server: ModelServer) -> None:
        self._product = product
        self._database = database
        self._server = server
        self._number = 0
        prepare(product, "healthy", INSTANCES // 4 + 1)
        prepare(product, "poisoned", INSTANCES)
        self._broken: list[str] = []

    def of(self, modes: Sequence[str]) -> dict[str, Any]:
        self._healthy()  # the first of a process is slower: nothing is in any cache
        alone = [self._healthy()]
        shares: dict[str, float] = {}
        for first in range(0, len(modes), ALONE_EVERY):
            beside = {mode: self._beside(mode) for mode in modes[first : first + ALONE_EVERY]}
            alone.append(self._healthy())
            usual = (alone[-1] + alone[-2]) / 2
            shares |= {mode: round(rate / usual, 3) for mode, rate in beside.items()}
            for mode, rate in beside.items():
                print(f"{mode}: {rate:.1f} calls/s beside it, {usual:.1f} alone", flush=True)
        worst = min(shares, key=lambda mode: shares[mode])
        for what in self._broken:
            print(f"not conserved: {what}")
        return {
            "modes": len(modes),
            "worst_share": shares[worst],
            "worst_mode": worst,
            "shares": shares,
            "alone_calls_per_s": [round(rate, 1) for rate in alone],
            "conserved": not self._broken,
        }

    def _beside(self, mode: str) -> float:
        self._server.behave(modes={mode: mode})
        poisoned = generate(self._product, "poisoned", 4 * INSTANCES, generator=mode, discriminator=mode)
        asked = "SELECT EXISTS (SELECT FROM call WHERE run_id = :run)"
        deadline = time.monotonic() + PATIENCE_S
        while not one(self._database, asked, run=poisoned) and time.monotonic() < deadline:
            time.sleep(0.05)
        rate = self._healthy()
        path = f"/api/v1/projects/poisoned/runs/{poisoned}"
        if self._product.get(path)["state"] in ("queued", "running", "paused"):
            self._product.post(f"{path}/cancel", 200)
        self._await_closed_calls(poisoned)
        self._broken += [
            f"{mode}: {what}" for what in violations(self._database, poisoned, self._product.get(path))
        ]
        return rate

    def _healthy(self) -> float:
        """Calls recorded per second over the middle 80 % of a run."""
        self._number += 1
        model = f"healthy-{self._number}"
        run_id = generate(self._product, "healthy", INSTANCES, generator=model, discriminator=model)
        await_end(self._database, run_id, PATIENCE_S)
        seen = self._product.get(f"/api/v1/projects/healthy/runs/{run_id}")
        self._broken += [f"{model}: {what}" for what in violations(self._database, run_id, seen)]
        closed = (
            "SELECT array_agg(extract(epoch FROM closed_at)::float8 ORDER BY closed_at)"
            " FROM call WHERE run_id = :run AND state = 'done'"
        )
        times: list[float] = one(self._database, closed, run=run_id) or []
        if len(times) < 20:
            return 0.0
        first, last = len(times) // 10, len(times) * 9 // 10
        return (last - first) / (times[last] - times[first])

    def _await_closed_calls(self, run_id: int) -> None:
        """Calls of a cancelled run are called back, or come home, within a few seconds."""
        in_flight = "SELECT EXISTS (SELECT FROM call WHERE run_id = :run AND state = 'sent')"
        deadline = time.monotonic() + 30
        while one(self._database, in_flight, run=run_id) and time.monotonic() < deadline:
            time.sleep(0.2)


def _said(home: Path, event: str) -> int:
    """How often the logs of an instance say so."""
    logs = (path.read_text(errors="replace") for path in home.rglob("*.log*"))
    return sum(len(re.findall(rf"\b{event}\b", text)) for text in logs)


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

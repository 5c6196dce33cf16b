"""How much of a known allowance three worker processes use together, and how often they hear "too many".

    python -m benchmarks.limiter

The server admits 1,200 requests in any 60 s; the same number stands in the model's limit. The run lasts 150 s, the
figures are of its last 90 s. The judge is offline, so that an instance is one request. The sizes are the same with
`--full`.
"""

import time
from typing import Any

from sqlalchemy import Engine, text

import benchmarks
from app.pipeline import OFFLINE
from app.runtime.instance import WORKER
from benchmarks._product import (
    MODEL,
    ModelServer,
    database_of,
    generate,
    model_server,
    one,
    prepare,
    product_asking,
)
from tests.stack.product import another_worker

REQUESTS_PER_MINUTE = 1200
LATENCY_S = 0.5
IN_FLIGHT = 64
SECONDS, COUNTED_S = 150, 90
START_S = 60
PROJECT = "limit"
THIRD = f"{WORKER} --queues llm --concurrency 1 --hostname third@%h"  # beside the two of the product

_OWNERS = "SELECT array_agg(DISTINCT lease_owner) FROM work_item WHERE state = 'leased'"


def run(full: bool) -> dict[str, Any]:
    return measure(SECONDS, COUNTED_S)


def measure(seconds: float, counted_s: float) -> dict[str, Any]:
    """Run for so long from the first call on, and count the end of it."""
    items = int(REQUESTS_PER_MINUTE / 60 * seconds * 1.2) + 100  # it must not run dry
    with (
        model_server(latency_s=LATENCY_S, requests_per_minute=REQUESTS_PER_MINUTE) as server,
        product_asking(server, IN_FLIGHT) as product,
        database_of(product) as database,
        another_worker(product, THIRD, product.home.parent / "third"),
    ):
        prepare(product, PROJECT, items // 4 + 1)
        _set_limit(database)
        run_id = generate(product, PROJECT, items, discriminator=OFFLINE)
        _await_first_call(server)
        time.sleep(seconds - counted_s)
        first, began = server.stats(), time.monotonic()
        workers = _workers_during(database, counted_s)
        last, lasted = server.stats(), time.monotonic() - began
        product.post(f"/api/v1/projects/{PROJECT}/runs/{run_id}/cancel")
    calls = last["calls"] - first["calls"]
    refused = last["sent"].get("429", 0) - first["sent"].get("429", 0)
    answered = last["answered"] - first["answered"]
    return {
        "share_of_allowance": round(answered / (REQUESTS_PER_MINUTE / 60 * lasted), 4),
        "rate_429": round(refused / calls, 4),
        "rate_429_before": round(first["sent"].get("429", 0) / first["calls"], 4),
        "calls": calls,
        "seconds": round(lasted, 1),
        "workers": workers,
        "most_in_flight": last["most_in_flight"],
    }


def _set_limit(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(
            text("INSERT INTO rate_limit (model, requests_per_minute) VALUES (:model, :requests)"),
            {"model": MODEL, "requests": REQUESTS_PER_MINUTE},
        )


def _await_first_call(server: ModelServer) -> None:
    deadline = time.monotonic() + START_S
    while not server.stats()["calls"] and time.monotonic() < deadline:
        time.sleep(0.1)


def _workers_during(database: Engine, seconds: float) -> int:
    """How many processes were seen with work in hand."""
    owners: set[str] = set()
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        owners.update(one(database, _OWNERS) or ())
        time.sleep(min(5.0, left))
    return len(owners)


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

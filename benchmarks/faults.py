"""What a provider's faults cost: 1,000 rows at 200 ms, 64 in flight, 5 % errors and 5 % unusable replies.

    python -m benchmarks.faults

Beside it a bare loop with a retry of ten lines over the same requests, and the throughput with one stray 429 in
a hundred calls over the throughput without. The judge is offline, so that a row is one request. Refusals are left
out of the unusable replies: a refusal is an answer, the product keeps it and does not ask again.
"""

from typing import Any, NamedTuple

import benchmarks
from app.pipeline import OFFLINE
from benchmarks._bare import bare_loop
from benchmarks._product import (
    ModelServer,
    await_end,
    database_of,
    finish_times,
    generate,
    model_server,
    one,
    prepare,
    product_asking,
    seconds_of,
    steady_rate,
)
from tests.stack.product import Product

ROWS = 1000
IN_FLIGHT = 64
LATENCY_S = 0.2
PATIENCE_S = 300
NONE = {"errors": 0.0, "unusable": 0.0}
STRAY = {"errors": 0.01, "error_kinds": ["429"], "unusable": 0.0}
FAULTS = {
    "errors": 0.05,
    "error_kinds": [],
    "unusable": 0.05,
    "unusable_kinds": ["empty", "prose", "cut off", "missing key"],
}


class Made(NamedTuple):
    """What became of the rows of one project."""

    seconds: float  # from the start to the last outcome
    usable: int
    rows_per_s: float  # start-up and tail left out


def run(full: bool) -> dict[str, Any]:
    """The sizes are the same with `full`."""
    return measure(ROWS)


def measure(rows: int) -> dict[str, Any]:
    with model_server(latency_s=LATENCY_S) as server:
        with product_asking(server, IN_FLIGHT) as product:
            for project in ("calm", "stray", "faults"):
                prepare(product, project, rows // 4)
            calm = _make(product, server, "calm", rows, NONE)
            stray = _make(product, server, "stray", rows, STRAY)
            faults = _make(product, server, "faults", rows, FAULTS)
        stats, bodies = server.stats(), server.seen()
        server.reset()
        bare = bare_loop(server.url, bodies, rows, IN_FLIGHT, retry=True)
    return {
        "rows": rows,
        "usable": faults.usable,
        "seconds": round(faults.seconds, 1),
        "bare_loop_seconds": round(bare["seconds"], 1),
        "bare_loop_usable": bare["usable"],
        "calls": stats["calls"],
        "paid_twice": stats["duplicates"],
        "stray_429_share": round(stray.rows_per_s / calm.rows_per_s, 3),
        "seconds_without_faults": round(calm.seconds, 1),
        "seconds_with_stray_429": round(stray.seconds, 1),
        "rows_per_s_without_faults": round(calm.rows_per_s, 1),
        "rows_per_s_with_stray_429": round(stray.rows_per_s, 1),
        "rows_per_s": round(faults.rows_per_s, 1),
        "sent": stats["sent"],
    }


def _make(product: Product, server: ModelServer, project: str, rows: int, behaviour: dict[str, Any]) -> Made:
    """Make the rows of one project while the server behaves so."""
    server.behave(**behaviour)
    server.reset()
    with database_of(product) as database:
        run_id = generate(product, project, rows, discriminator=OFFLINE)
        state = await_end(database, run_id, PATIENCE_S)
        print(f"{project}: {state}, {product.get(f'/api/v1/projects/{project}/runs/{run_id}')['done']}")
        kept = "SELECT count(*) FROM instance WHERE run_id = :run AND text_hash IS NOT NULL"
        return Made(
            seconds_of(database, run_id),
            one(database, kept, run=run_id),
            steady_rate(finish_times(database, run_id)),
        )


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

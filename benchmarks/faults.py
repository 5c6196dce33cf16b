"""What a provider's faults cost: 1,000 rows at 200 ms, 64 in flight, 5 % errors and 5 % unusable replies.

    python -m benchmarks.faults

Beside it a bare loop with a retry of ten lines over the same requests, and the throughput with one stray 429 in
a hundred calls over the throughput without. The judge is offline, so that a row is one request.
"""

from typing import Any

import benchmarks
from app.pipeline import OFFLINE
from benchmarks._bare import bare_loop
from benchmarks._product import (
    ModelServer,
    await_end,
    database_of,
    generate,
    model_server,
    one,
    prepare,
    product_asking,
    seconds_of,
)
from tests.stack.product import Product

ROWS = 1000
IN_FLIGHT = 64
LATENCY_S = 0.2
PATIENCE_S = 300
FAULTS = {"errors": 0.05, "error_kinds": [], "unusable": 0.05}
NONE = {"errors": 0.0, "unusable": 0.0}
STRAY = {"errors": 0.01, "error_kinds": ["429"], "unusable": 0.0}


def run(full: bool) -> dict[str, Any]:
    """The sizes are the same with `full`."""
    with model_server(latency_s=LATENCY_S) as server:
        with product_asking(server, IN_FLIGHT) as product:
            for project in ("calm", "stray", "faults"):
                prepare(product, project, ROWS // 4)
            calm_s, _ = _rows(product, server, "calm", NONE)
            stray_s, _ = _rows(product, server, "stray", STRAY)
            seconds, usable = _rows(product, server, "faults", FAULTS)
        stats, bodies = server.stats(), server.seen()
        server.reset()
        bare = bare_loop(server.url, bodies, ROWS, IN_FLIGHT, retry=True)
    return {
        "rows": ROWS,
        "usable": usable,
        "seconds": round(seconds, 1),
        "bare_loop_seconds": round(bare["seconds"], 1),
        "bare_loop_usable": bare["usable"],
        "calls": stats["calls"],
        "paid_twice": stats["duplicates"],
        "stray_429_share": round(calm_s / stray_s, 3),
        "seconds_without_faults": round(calm_s, 1),
        "seconds_with_stray_429": round(stray_s, 1),
        "sent": stats["sent"],
    }


def _rows(
    product: Product, server: ModelServer, project: str, behaviour: dict[str, Any]
) -> tuple[float, int]:
    """Make the rows of one project; returns the seconds to the last outcome, and how many rows have text."""
    server.behave(**behaviour)
    server.reset()
    with database_of(product) as database:
        run_id = generate(product, project, ROWS, discriminator=OFFLINE)
        state = await_end(database, run_id, PATIENCE_S)
        print(f"{project}: {state}, {product.get(f'/api/v1/projects/{project}/runs/{run_id}')['done']}")
        kept = "SELECT count(*) FROM instance WHERE run_id = :run AND text_hash IS NOT NULL"
        return seconds_of(database, run_id), one(database, kept, run=run_id)


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

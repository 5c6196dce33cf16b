"""How much of what the model allows the engine uses, beside a bare loop over the same requests.

    python -m benchmarks.engine [--full]

2,500 instances, each generated and judged: 5,000 calls of 500 ms with 64 in flight; with `--full` also 256 in
flight at 2 s. Share: calls finished per second between 5 % and 95 % of them, over the calls in flight divided by
the mean latency that the server itself reports.
"""

import time
from typing import Any

import benchmarks
from benchmarks._bare import bare_loop
from benchmarks._product import (
    ModelServer,
    await_end,
    await_first_row,
    cpu_seconds,
    database_of,
    generate,
    model_server,
    prepare,
    product_asking,
    steady_rate,
    violations,
)

INSTANCES = 2500
PATIENCE_S = 400


def run(full: bool) -> dict[str, Any]:
    found = measure(INSTANCES, in_flight=64, latency_s=0.5)
    if full:
        more = measure(INSTANCES, in_flight=256, latency_s=2.0)
        found |= {f"{name}_256": value for name, value in more.items()}
    return found


def measure(instances: int, in_flight: int, latency_s: float) -> dict[str, Any]:
    with model_server(latency_s=latency_s) as server:
        found, rate = _product(server, instances, in_flight)
        bodies = server.seen()
        server.reset()
        bare = bare_loop(server.url, bodies, 2 * instances, in_flight)
        finished = server.stats(times=True)
    bare_rate = steady_rate(finished["finished"])
    return found | {
        "share_of_bare_loop": round(rate / bare_rate, 4),
        "calls_per_s": round(rate, 1),
        "bare_calls_per_s": round(bare_rate, 1),
        "bare_share_of_ceiling": round(bare_rate * finished["mean_latency_s"] / in_flight, 4),
        "bare_cpu_ms_per_call": round(1000 * bare["cpu_seconds"] / finished["calls"], 2),
    }


def _product(server: ModelServer, instances: int, in_flight: int) -> tuple[dict[str, Any], float]:
    """The product's figures, and its calls per second."""
    with product_asking(server, in_flight) as product, database_of(product) as database:
        prepare(product, "bench", instances // 4)
        before = cpu_seconds(product, server)
        posted = time.monotonic()
        run_id = generate(product, "bench", instances)
        await_first_row(database, run_id, PATIENCE_S)
        first_row_s = time.monotonic() - posted
        await_end(database, run_id, PATIENCE_S)
        spent = {part: after - before[part] for part, after in cpu_seconds(product, server).items()}
        broken = violations(database, run_id, product.get(f"/api/v1/projects/bench/runs/{run_id}"))
    for what in broken:
        print(f"not conserved: {what}")
    stats = server.stats(times=True)
    rate = steady_rate(stats["finished"])
    cpu_ms = {part: round(1000 * seconds / stats["calls"], 2) for part, seconds in spent.items()}
    return {
        "calls": stats["calls"],
        "share_of_ceiling": round(rate * stats["mean_latency_s"] / in_flight, 4),
        "first_row_s": round(first_row_s, 2),
        "cpu_ms_per_call": cpu_ms.pop("workers"),
        "conserved": not broken,
        "most_in_flight": stats["most_in_flight"],
        "server_latency_s": round(stats["mean_latency_s"], 4),
        **{f"cpu_ms_per_call_{part}": value for part, value in cpu_ms.items()},
    }, rate


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

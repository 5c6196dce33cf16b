"""How long other weights of the rules take over what people decided, and that no model is asked.

    python -m benchmarks.replay [--full]

15,000 instances with seven answered rules each, with `--full` 100,000; a seventh of them are decided. One required rule
is made advisory, over REST: every verdict is computed anew from stored answers. Seconds, the quickest and the slowest
of five; `calls` must be as many after as before.
"""

import time
from typing import Any

from sqlalchemy import text

import benchmarks
from benchmarks._instances import seed
from benchmarks._product import database_of, fresh_home, one
from tests.stack.product import running

TIMES = 5
ASKED_S = 30  # for 2,000


def run(full: bool) -> dict[str, Any]:
    with fresh_home() as home, running(home) as product, database_of(product) as database:
        seeded = seed(database, 100_000 if full else 15_000, 5)
        with database.begin() as connection:
            connection.execute(text(_UNDER_THEIR_VERDICT))
        calls = one(database, "SELECT count(*) FROM call")
        path = f"/api/v1/projects/{seeded.slug}/quality/replays"
        rule = one(database, "SELECT min(rule) FROM rule_answer WHERE required AND answer = 'no'")
        took: list[float] = []
        found: dict[str, Any] = {}
        for _ in range(TIMES):
            began = time.monotonic()
            found = product.post(path, json={"rules": {rule: "advisory"}}).json()
            took.append(round(time.monotonic() - began, 2))
        return {
            "decided": found["instances"],
            "flips": found["flips"],
            "quickest_s": min(took),
            "slowest_s": max(took),
            "asked_s": ASKED_S,
            "calls": [calls, one(database, "SELECT count(*) FROM call")],
        }


_UNDER_THEIR_VERDICT = """
    UPDATE decision SET verdict_id = verdict.id FROM verdict WHERE verdict.instance_id = decision.instance_id"""


if __name__ == "__main__":
    benchmarks.main(run)

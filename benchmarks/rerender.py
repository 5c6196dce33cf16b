"""Whether every question that was asked of a model can be made again, byte for byte, from the ids that its call kept.

    python -m benchmarks.rerender [--full] [--data FILE]

A run over all four tasks on functions of the Python standard library, and of a CodeSearchNet file where one is given,
against our own OpenAI-compatible server, of whose replies a tenth cannot be used, so that questions are repeated, too.
The server keeps what it received; each closed call is then rendered over REST. `same`: its request hash is the one that
the call kept; `received`: its two messages are among those that the server got. 1,000 calls; `--full` makes the server
fail as well.
"""

import hashlib
import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import text

import benchmarks
from benchmarks._product import (
    TASKS,
    database_of,
    functions,
    generate,
    model_server,
    product_asking,
    violations,
)
from tests.stack.product import Product, jsonl

CALLS = 1_000
INSTANCES = 490  # two calls for each, and those that are repeated
PICKS = 120
PROJECT = "again"


def run(full: bool, data: Path | None = None) -> dict[str, Any]:
    faults = {"errors": 0.05} if full else {}
    with (
        model_server(latency_s=0.01, unusable=0.1, **faults) as server,
        product_asking(server, 32) as product,
        database_of(product) as database,
    ):
        _prepare(product, data)
        run_id = generate(product, PROJECT, INSTANCES, tasks=TASKS)
        ended = product.follow(
            f"/api/v1/projects/{PROJECT}/runs/{run_id}", ("completed", "completed_with_errors")
        )
        broken = violations(database, run_id, ended)
        received = Counter(_hash(*(one["content"] for one in body["messages"])) for body in server.seen())
        query = text(
            "SELECT id FROM call WHERE run_id = :run AND state IN ('done', 'failed') ORDER BY id DESC LIMIT :most"
        )
        with database.connect() as connection:
            numbers = connection.execute(query, {"run": run_id, "most": CALLS}).scalars().all()
            languages = connection.execute(
                text("SELECT language, count(*) FROM instance WHERE run_id = :run GROUP BY 1"),
                {"run": run_id},
            ).all()
            states = connection.execute(
                text("SELECT status, count(*) FROM instance WHERE run_id = :run GROUP BY 1"), {"run": run_id}
            ).all()
            repeated = connection.execute(
                text("SELECT count(*) FROM call WHERE run_id = :run AND repeats IS NOT NULL"), {"run": run_id}
            ).scalar_one()
        rendered = [product.get(f"/api/v1/calls/{number}/messages") for number in numbers]
    return {
        "calls": len(rendered),
        "same": sum(one["same"] for one in rendered),
        "received": sum(_hash(one["system"], one["user"]) in received for one in rendered),
        "repeated": repeated,
        "languages": {language: number for language, number in languages},
        "statuses": {status: number for status, number in states},
        "done": ended["done"],
        "conserved": not broken,
        "violations": broken,
    }


def _prepare(product: Product, data: Path | None) -> None:
    """A selection of functions, in every language that there is code of."""
    path = f"/api/v1/projects/{PROJECT}"
    product.post("/api/v1/projects", 201, json={"name": PROJECT})
    rows = jsonl(list(islice(functions(PROJECT), 2 * PICKS)))
    uploads = [("library.jsonl", rows)] + ([(data.name, data.read_bytes())] if data else [])
    for upload in uploads:
        answer = product.post(f"{path}/sources", 202, files={"file": upload}, data={"license": "MIT"})
        product.finished(answer)
    product.finished(product.post(f"{path}/selections", 202, json={"k": PICKS}))


def _hash(system: str, user: str) -> str:
    return hashlib.sha256(json.dumps([system, user]).encode()).hexdigest()


def main() -> None:
    benchmarks.main_on_file(run)


if __name__ == "__main__":
    main()

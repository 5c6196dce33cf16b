"""Every stored call rendered again from what it points at, beside what the model server received.

    python -m benchmarks.rerender [--full] [--data FILE]

Generations over all four tasks through the real workers: with unusable replies and faults until every state is
reached, one with a goal, one that sends texts back, one cancelled, one asked again, and tries of prompts, twice. While the first is going,
the prompts and the rules of the project are switched. Then every call is rendered again: its request hash must be
the one it was sent with, and its messages, hashed, among those that the server has seen, as often as it has seen them.
`--data`: rows in CodeSearchNet's form beside the functions of the standard library, for more languages.
"""

import json
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

import benchmarks
from app.runs.rendering import rendered
from app.runtime.desks import RENDERERS
from app.storage.tables import Call
from benchmarks._product import (
    ModelServer,
    await_end,
    database_of,
    functions,
    generate,
    model_server,
    one,
    product_asking,
    violations,
)
from tests.llm_server import hash_of_messages
from tests.stack.product import Product, jsonl

INSTANCES = 400
PATIENCE_S = 240
_PROJECT = "bench"
_PATH = f"/api/v1/projects/{_PROJECT}"
STATES = (
    "passed",
    "failed_verdict",
    "invalid_verdict",
    "unusable",
    "error",
    "skipped",
    "cancelled",
    "answered",
)


def run(full: bool, data: Path | None = None) -> dict[str, Any]:
    instances = 4 * INSTANCES if full else INSTANCES
    with (
        model_server(latency_s=0.02) as server,
        product_asking(server, 64) as product,
        database_of(product) as database,
    ):
        languages = _material(product, instances // 2, data)
        outcomes, broken = _all_runs(server, product, database, instances)
        seen = Counter(server.asked())
        began = time.monotonic()
        found = _compare(database, seen)
        found["rendered_per_s"] = round(found["calls"] / (time.monotonic() - began))
        found["over_rest"] = _over_rest(product, database)
    for what in broken:
        print(f"not conserved: {what}")
    missing = [state for state in STATES if not outcomes[state]]
    return found | {
        "languages": languages,
        "outcomes": dict(outcomes),
        "states_not_reached": missing,
        "conserved": not broken,
    }


# --- material and runs ------------------------------------------------------------------------------------


def _material(product: Product, picks: int, data: Path | None) -> dict[str, int]:
    """A project with a selection; returns how many picks there are of each language."""
    product.post("/api/v1/projects", 201, json={"name": _PROJECT})
    more = [json.loads(line) for line in data.read_text().splitlines()] if data else []
    rows = list(islice(functions(_PROJECT), max(50, picks + picks // 2 - len(more)))) + more
    product.finished(product.post(f"{_PATH}/sources", 202, files={"file": ("rows.jsonl", jsonl(rows))}))
    product.finished(product.post(f"{_PATH}/selections", 202, json={"k": picks}))
    with database_of(product) as database, Session(database) as session:
        rows = session.connection().exec_driver_sql(
            "SELECT language, count(*) FROM pick JOIN snippet ON snippet.id = pick.snippet_id GROUP BY language"
        )
        return {language: number for language, number in rows}


def _all_runs(
    server: ModelServer, product: Product, database: Engine, instances: int
) -> tuple[Counter[str], list[str]]:
    """How all instances and tries ended, and what does not add up."""
    server.behave(errors=0.05, unusable=0.3)
    first = generate(product, _PROJECT, instances)
    _switch_everything(product)  # while the first is going
    ended = [first, generate(product, _PROJECT, instances, seed=1)]
    for run_id in ended:
        await_end(database, run_id, PATIENCE_S)
    server.behave(errors=0.5, error_kinds=["400"], unusable=0)
    ended.append(generate(product, _PROJECT, 40, seed=2))
    await_end(database, ended[-1], PATIENCE_S)
    server.behave(errors=0, verdict_no=0.1)
    ended += [
        generate(product, _PROJECT, None, until_pass=3, at_most=8, seed=3),
        generate(
            product, _PROJECT, instances, seed=1
        ),  # again: answered before as far as the bank has not grown
    ]
    for run_id in ended[-2:]:
        await_end(database, run_id, PATIENCE_S)
    server.behave(verdict_no=0.5)
    ended.append(generate(product, _PROJECT, instances // 4, seed=5, send_back=True))
    await_end(database, ended[-1], PATIENCE_S)
    server.behave(latency_s=0.5, verdict_no=0.1)
    ended.append(generate(product, _PROJECT, instances, seed=4))
    time.sleep(1)
    product.post(f"{_PATH}/runs/{ended[-1]}/cancel")
    server.behave(latency_s=0.02)
    ended += _tries(product, database)
    _await_quiet(database)
    outcomes: Counter[str] = Counter()
    broken: list[str] = []
    for run_id in ended:
        seen = product.get(f"{_PATH}/runs/{run_id}")
        outcomes.update(seen["done"])
        if seen["kind"] == "generate":
            broken += [f"run {run_id}: {what}" for what in violations(database, run_id, seen)]
        elif seen["total"] != sum(seen["done"].values()):
            broken.append(f"run {run_id}: {seen['total']} asked, {seen['done']} done")
    return outcomes, broken


def _switch_everything(product: Product) -> None:
    """Another text of every prompt and one more rule are put in force."""
    for prompt in product.get(f"{_PATH}/prompts"):
        path = f"{_PATH}/prompts/{prompt['name']}"
        content = product.get(path)["content"].replace(
            "\n\n---", "\n\nBe exact, and literal about {{braces}}.\n\n---"
        )
        product.post(f"{path}/versions", 201, json={"content": content, "note": "exact"})
        product.post(f"{path}/in-force", json={"version": 1})
    rules = product.get(f"{_PATH}/rules")["rules"]
    rules.append(rules[-1] | {"rule": "idiomatic", "text": "The code is idiomatic.", "language": "python"})
    product.post(f"{_PATH}/rules/versions", 201, json={"rules": rules})
    product.post(f"{_PATH}/rules/in-force", json={"version": 1})


def _tries(product: Product, database: Engine) -> list[int]:
    """Of each prompt's version 1, and once more, which its first answers answer."""
    runs: list[int] = []
    for _ in range(2):
        for prompt in product.get(f"{_PATH}/prompts"):
            path = f"{_PATH}/prompts/{prompt['name']}/tries"
            runs.append(int(product.post(path, 202, json={"version": 1}).json()["id"]))
        for run_id in runs:
            await_end(database, run_id, PATIENCE_S)
    return runs


def _await_quiet(database: Engine) -> None:
    """Until no call is open: those of a cancelled run come home, or are found lost."""
    deadline = time.monotonic() + 60
    while one(database, "SELECT count(*) FROM call WHERE state = 'sent'") and time.monotonic() < deadline:
        time.sleep(0.2)


# --- comparing --------------------------------------------------------------------------------------------


def _compare(database: Engine, seen: Counter[str]) -> dict[str, Any]:
    """Every call rendered again, beside `seen`: how often the server has got which messages."""
    counts: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    with Session(database) as session:
        for number in session.scalars(select(Call.id).order_by(Call.id)).all():
            _look_at(session, session.get_one(Call, number), counts, sent)
            session.expunge_all()
    return {
        "calls": counts["calls"],
        "same": counts["same"],
        "received": sum((sent & seen).values()),
        "sent": sum(sent.values()),
        "received_by_server": sum(seen.values()),
        "received_but_not_rendered": sum((seen - sent).values()),
        "repeated": counts["repeated"],
        "states": {state: counts[f"state {state}"] for state in ("done", "cached", "failed", "unknown")},
    }


def _look_at(session: Session, call: Call, counts: Counter[str], sent: Counter[str]) -> None:
    found = rendered(session, RENDERERS, call)
    counts["calls"] += 1
    counts[f"state {call.state}"] += 1
    counts["repeated"] += call.repeats is not None
    counts["same"] += found.same
    if call.state != "cached":
        messages = [
            {"role": "system", "content": found.prompt.system},
            {"role": "user", "content": found.prompt.user},
        ]
        sent[hash_of_messages(messages)] += 1


def _over_rest(product: Product, database: Engine) -> dict[str, int]:
    """The same through `GET /api/v1/calls/{id}/messages`, for fifty calls."""
    with Session(database) as session:
        ids = session.scalars(select(Call.id).order_by(Call.id.desc()).limit(2_000)).all()[::40]
    answers = [product.get(f"/api/v1/calls/{call_id}/messages") for call_id in ids]
    return {"calls": len(answers), "same": sum(answer["same"] for answer in answers)}


if __name__ == "__main__":
    benchmarks.main_on_file(run)

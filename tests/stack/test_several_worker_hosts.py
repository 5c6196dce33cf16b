"""Hosts with folders of their own share one database, Redis and FILES_DIR; one may vanish in mid-run."""

import os
import signal
import tempfile
from pathlib import Path

import psycopg
import pytest
import yaml

from tests.llm_server import Behaviour, serving
from tests.stack.product import ROOT, Product, another_worker, jsonl, running
from tests.stack.test_rest_from_code_to_release import standard_library_rows
from tests.waiting import await_that

pytestmark = pytest.mark.stack

COUNT = 120
IN_FLIGHT = 4  # of each child; two children a host


def compose_worker() -> str:
    """The command of the compose file's worker for models."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services["worker-llm"]["command"].removeprefix("python ").replace("%h", "other")


def holders(product: Product) -> set[str]:
    """The processes that hold items now."""
    with psycopg.connect(product.record["database_url"].replace("+psycopg", "")) as connection:
        rows = connection.execute("SELECT DISTINCT lease_owner FROM work_item WHERE state = 'leased'")
        return {owner for (owner,) in rows}


def test_two_hosts_share_a_run_and_one_finishes_what_the_other_held_when_it_vanished() -> None:
    behaviour = Behaviour(latency_s=0.4)
    with tempfile.TemporaryDirectory(prefix="bw-") as folder, serving(behaviour) as url:
        settings = {
            "OPENAI_BASE_URL": url,
            "OPENAI_API_KEY": "test",
            "GENERATOR_MODEL": "test",
            "DISCRIMINATOR_MODEL": "test",
            "LLM_IN_FLIGHT": str(IN_FLIGHT),
        }
        with (
            running(Path(folder) / "first", **settings) as product,
            another_worker(product, compose_worker(), Path(folder) / "other") as host,
        ):
            product.post("/api/v1/projects", 201, json={"name": "Two"})
            rows = jsonl(standard_library_rows(150))
            product.finished(
                product.post("/api/v1/projects/two/sources", 202, files={"file": ("rows.jsonl", rows)})
            )
            product.finished(product.post("/api/v1/projects/two/selections", 202, json={"k": COUNT}))
            started = product.post(
                "/api/v1/projects/two/generations", 202, json={"tasks": {"generation": 1}, "count": COUNT}
            )
            location = started.headers["Location"]
            await_that(lambda: len(holders(product)) == 4, within=60)  # two children of each
            os.killpg(host.pid, signal.SIGKILL)
            run = product.follow(location)
            calls = product.calls(run["id"])

    assert sum(run["done"].values()) == COUNT
    # Of two processes: what was in flight, what was claimed ahead, and replies that waited to be recorded.
    assert behaviour.duplicates <= calls["unknown"] <= 2 * 3 * IN_FLIGHT
    assert calls["done"] + calls["unknown"] >= behaviour.answered

"""Hosts with folders of their own share one database, Redis and FILES_DIR; one may vanish in mid-run."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import yaml

from tests.llm_server import Behaviour, serving
from tests.stack.product import ROOT, Product, jsonl, running
from tests.stack.test_rest_from_code_to_release import standard_library_rows

pytestmark = pytest.mark.stack

COUNT = 120
IN_FLIGHT = 4  # of each child; two children a host


@contextmanager
def another_host(product: Product, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The compose file's worker for models, in a process group and with a home of its own."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    command = shlex.split(services["worker-llm"]["command"].replace("%h", "other"))
    shared = {
        "DATABASE_URL": product.record["database_url"],
        "REDIS_URL": product.record["redis_url"],
        "FILES_DIR": str(product.home / "files"),
    }
    host = subprocess.Popen(
        [sys.executable, *command[1:]],
        cwd=ROOT,
        env=product.environment | shared | {"BREAKWATER_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield host
    finally:
        if host.poll() is None:
            os.killpg(host.pid, signal.SIGTERM)
        host.wait(30)


def holders(product: Product) -> set[str]:
    """The processes that hold items now."""
    with psycopg.connect(product.record["database_url"].replace("+psycopg", "")) as connection:
        rows = connection.execute("SELECT DISTINCT lease_owner FROM work_item WHERE state = 'leased'")
        return {owner for (owner,) in rows}


def await_that(is_so: Callable[[], bool], within: float = 60) -> None:
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


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
            another_host(product, Path(folder) / "other") as host,
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
            await_that(lambda: len(holders(product)) == 4)  # two children of each
            os.killpg(host.pid, signal.SIGKILL)
            run = product.follow(location)
            calls = product.calls(run["id"])

    assert sum(run["done"].values()) == COUNT
    # Of two processes: what was in flight, what was claimed ahead, and replies that waited to be recorded.
    assert behaviour.duplicates <= calls["unknown"] <= 2 * 3 * IN_FLIGHT
    assert calls["done"] + calls["unknown"] >= behaviour.answered

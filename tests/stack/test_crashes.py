"""kill -9 in the middle of a run: after a restart it completes, and every item has exactly one outcome."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.llm_server import Behaviour, serving
from tests.stack.product import Product, jsonl, running, start
from tests.stack.test_rest_from_code_to_release import all_items, standard_library_rows

pytestmark = pytest.mark.stack

COUNT = 140


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bw-") as folder:
        yield Path(folder) / "home"


def start_a_run(product: Product) -> str:
    product.post("/api/v1/projects", 201, json={"name": "Crash"})
    rows = jsonl(standard_library_rows(150))
    product.finished(
        product.post("/api/v1/projects/crash/sources", 202, files={"file": ("rows.jsonl", rows)})
    )
    product.finished(product.post("/api/v1/projects/crash/selections", 202, json={"k": COUNT}))
    answer = product.post(
        "/api/v1/projects/crash/generations", 202, json={"tasks": {"generation": 1}, "count": COUNT}
    )
    return answer.headers["Location"]


def wait_for_the_middle(product: Product, location: str) -> None:
    deadline = time.monotonic() + 60
    while sum(product.get(location)["done"].values()) < COUNT // 4:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def check_outcomes(product: Product, run: dict[str, Any]) -> None:
    assert sum(run["done"].values()) == run["total"] == COUNT
    instances = all_items(product, "/api/v1/projects/crash/instances")
    assert len(instances) == COUNT
    detail = [product.get(f"/api/v1/instances/{instance['id']}") for instance in instances[:40]]
    assert all(len([call for call in one["calls"] if call["state"] == "sent"]) == 0 for one in detail)


def test_a_run_survives_kill_9_of_a_worker_and_of_everything(home: Path) -> None:
    behaviour = Behaviour(latency_s=0.1)
    with serving(behaviour) as url:
        environment = {
            "OPENAI_BASE_URL": url,
            "OPENAI_API_KEY": "test",
            "GENERATOR_MODEL": "test",
            "DISCRIMINATOR_MODEL": "test",
        }
        product = start(home, **environment)
        try:
            location = start_a_run(product)
            wait_for_the_middle(product, location)
            workers = [one for one in product.processes() if "worker" in " ".join(one.cmdline())]
            assert workers
            os.kill(workers[-1].pid, signal.SIGKILL)
            time.sleep(0.5)
        finally:
            product.kill_everything()
        with running(home, **environment) as again:
            run = again.follow(location, until=("completed",))
            check_outcomes(again, run)
    assert behaviour.duplicates <= 2 * 32  # at most what was in flight at the two kills

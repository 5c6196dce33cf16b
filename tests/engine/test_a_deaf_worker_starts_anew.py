"""A worker to which no doorbell comes ends itself while work waits, so that it is started again."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from app import queue

ROOT = Path(__file__).parents[2]


def _silently(_: str) -> None: ...


@pytest.fixture
def worker(servers: tuple[str, str], sessions: object) -> Iterator[subprocess.Popen[bytes]]:
    """A worker without a clock, as soon as it listens."""
    with Redis.from_url(servers[1]) as redis:
        redis.flushdb()  # other tests have rung, and what they left would be heard
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "workers.tasks", "worker", "--queues", "llm", "-c", "1"],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": servers[0], "REDIS_URL": servers[1], "WATCHDOG_S": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while not redis.client_list(_type="normal") or not redis.exists("_kombu.binding.llm"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield worker
    worker.kill()
    worker.wait()


def test_it_ends_while_work_waits_and_not_before(
    start_run: Callable[..., int], worker: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    time.sleep(2.5)
    before = worker.poll()

    monkeypatch.setattr(queue, "ring", _silently)
    start_run(1)

    assert before is None
    assert worker.wait(30) == 1

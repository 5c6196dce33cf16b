"""The services of docker-compose.yml, started by their own commands as local processes, make a ready product."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from app.runtime.embedded import embedded_servers

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OURS = ("web", "worker-llm", "worker-cpu", "beat")
READY_S = 60


def command_of(service: str, port: int, folder: Path) -> list[str]:
    """The service's command with this interpreter, on a free port, with the clock's file in `folder`."""
    command = SERVICES[service]["command"].replace(
        "--host 0.0.0.0 --port 8000", f"--host 127.0.0.1 --port {port}"
    )
    words = shlex.split(command.replace("/tmp/beat", str(folder / "beat")))
    program = {"python": [sys.executable], "breakwater": [sys.executable, "-m", "app.cli"]}
    return [*program[words[0]], *words[1:]]


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="bw-") as folder, embedded_servers(Path(folder) / "s") as servers:
        yield os.environ | {
            "BREAKWATER_HOME": str(Path(folder) / "home"),
            "FILES_DIR": str(Path(folder) / "files"),
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
        }


def test_the_services_of_the_compose_file_make_a_ready_product(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    migrated = subprocess.run(
        command_of("migrate", port, tmp_path), cwd=ROOT, env=environment, check=False, timeout=READY_S
    )
    started = [
        subprocess.Popen(
            command_of(name, port, tmp_path),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for name in OURS
    ]
    try:
        ready = await_ready(f"http://127.0.0.1:{port}/readyz")
        alive = [process.poll() for process in started]
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGTERM)
        ended = [process.wait(timeout=20) for process in started]

    assert migrated.returncode == 0
    assert ready["ready"], ready
    assert alive == [None] * len(OURS)
    assert len(ended) == len(OURS)


def await_ready(url: str) -> dict[str, Any]:
    deadline = time.monotonic() + READY_S
    answer: dict[str, Any] = {"ready": False}
    while not answer["ready"] and time.monotonic() < deadline:
        time.sleep(0.3)
        try:
            answer = httpx2.get(url, timeout=5).json()
        except httpx2.TransportError:
            continue
    return answer

"""The whole product as its users start it: `breakwater up` in a folder of its own, driven over REST."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg

from app.runtime.instance import ONE_THREAD

ROOT = Path(__file__).parents[2]
START_S = 90
RUN_S = 120

CONFIGURED = (
    "BREAKWATER_",
    "OPENAI_",
    "LLM_",
    "GENERATOR_",
    "DISCRIMINATOR_",
    "DATABASE_",
    "REDIS_",
    "FILES_",
)
"""How the names begin of what may be set outside, and must not reach the product that is tried."""


@dataclass
class Product:
    """A running instance, and an admin's token for it."""

    home: Path
    environment: dict[str, str]
    process: subprocess.Popen[str]
    url: str
    token: str = ""
    password: str = ""  # the one-time one of `admin`, printed at the first start

    def cli(self, *arguments: str) -> str:
        """Run a command of this instance; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            cwd=self.home.parent,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return httpx2.request(method, f"{self.url}{path}", headers=headers, timeout=30, **options)

    def get(self, path: str) -> Any:
        answer = self.request("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, expect: int = 200, **options: Any) -> httpx2.Response:
        answer = self.request("POST", path, **options)
        assert answer.status_code == expect, answer.text
        return answer

    def finished(self, accepted: httpx2.Response) -> dict[str, Any]:
        """Follow a 202 to the end of its run, checking at every look that the counts conserve."""
        assert accepted.status_code == 202, accepted.text
        return self.follow(accepted.headers["Location"])

    def follow(self, location: str, until: tuple[str, ...] = ("completed",)) -> dict[str, Any]:
        deadline = time.monotonic() + RUN_S
        while time.monotonic() < deadline:
            run: dict[str, Any] = self.get(location)
            assert run["total"] == sum(run["done"].values()) + run["pending"], run
            if run["state"] in until:
                print(f"{run['kind']} run: {run['done']} from {run['started_at']} to {run['finished_at']}")
                return run
            assert run["state"] in ("queued", "running", "paused"), run
            time.sleep(0.2)
        raise AssertionError(f"{location} did not end: {run}")

    @property
    def record(self) -> dict[str, Any]:
        """Where its servers answer: `database_url`, `redis_url` ..."""
        return json.loads((self.home / "supervisor.json").read_text())

    def calls(self, run_id: int) -> Counter[str]:
        """How many calls of a run its ledger holds, by state."""
        with psycopg.connect(self.record["database_url"].replace("+psycopg", "")) as connection:
            rows = connection.execute(
                "SELECT state, count(*) FROM call WHERE run_id = %s GROUP BY state", [run_id]
            )
            return Counter(dict(rows.fetchall()))

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def kill_everything(self) -> None:
        """`kill -9` of the whole tree at once."""
        kill(self.processes())
        self.process.wait(timeout=20)
        self._close()

    def kill_supervisor(self) -> None:
        """`kill -9` of the process that started all the others."""
        self.process.kill()
        self.process.wait(timeout=20)
        self._close()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=40)
        self._close()

    def _close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()


def kill(processes: Iterable[psutil.Process]) -> None:
    """`kill -9` of each; one that its parent's death has ended meanwhile is dead already."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


@contextmanager
def running(home: Path, *, demo: bool = False, **environment: str) -> Iterator[Product]:
    """Start the product in `home` and stop it at the end, whatever happened in between."""
    product = start(home, demo=demo, **environment)
    try:
        yield product
    finally:
        product.stop()


def start(home: Path, *, demo: bool = False, **environment: str) -> Product:
    """Start the product in `home` with these settings and no others: not the shell's, nor those of an `.env` here."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURED)}
    own = {"BREAKWATER_HOME": str(home), "PORT": "0", "PYTHONPATH": str(ROOT)}
    full = inherited | own | environment
    arguments = [] if demo else ["--no-demo"]
    log = home.with_suffix(".log")
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "up", *arguments],
            cwd=home.parent,
            env=full,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    said: list[str] = []
    too_long = threading.Timer(START_S, process.kill)  # ends the loop below
    too_long.start()
    for line in process.stdout:
        said.append(line)
        if line.startswith("ready: "):
            too_long.cancel()
            product = Product(home, full, process, line.split()[1])
            product.password = next((one.split()[-1] for one in said if "one-time password" in one), "")
            product.token = product.cli("token", "create", "--user", "admin", "--scope", "admin").split()[-1]
            return product
    raise AssertionError(f"the product did not start: {''.join(said)}\n{log.read_text()}")


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@contextmanager
def another_worker(product: Product, command: str, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker as on another host: a process group and a home of its own, shared only database, Redis and files.

    `command` is what follows `python`.
    """
    shared = {name.upper(): product.record[name] for name in ("database_url", "redis_url", "files_dir")}
    worker = subprocess.Popen(
        [sys.executable, *shlex.split(command)],
        cwd=ROOT,
        env=product.environment | ONE_THREAD | shared | {"BREAKWATER_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield worker
    finally:
        _end_group(worker)


def _end_group(leader: subprocess.Popen[bytes]) -> None:
    """Asked once, a worker finishes what it does; asked twice, it ends."""
    for patience_s in (10, 30):
        if leader.poll() is None:
            os.killpg(leader.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                leader.wait(patience_s)
    assert leader.poll() is not None

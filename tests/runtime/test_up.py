"""`breakwater up` as people and scripts meet it: a process, its output, its signals."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Timer

import psutil
import pytest

from app.runtime.processes import MARK
from tests.stack.product import kill

pytestmark = pytest.mark.stack

COMMAND = [sys.executable, "-m", "app.cli"]


class Up:
    """A supervisor in a process group of its own, as a shell starts it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [*COMMAND, "up", "--no-demo"],
            env=environment(home, PORT="0"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        self.said: list[str] = []
        assert self.process.stdout is not None
        impatience = Timer(60, self.process.terminate)
        impatience.start()
        for line in self.process.stdout:
            self.said.append(line.strip())
            if line.startswith("ready: "):
                break
        impatience.cancel()
        if not self.said[-1:] or not self.said[-1].startswith("ready: "):
            self.await_end()
            raise AssertionError("\n".join(self.said))

    @property
    def url(self) -> str:
        return self.said[-1].removeprefix("ready: ")

    @property
    def password(self) -> str | None:
        found = re.search(r"one-time password: (\S+)", "\n".join(self.said))
        return found[1] if found else None

    def await_end(self) -> int:
        try:
            status = self.process.wait(30)
        finally:
            self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()
        return status


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    return kept | {"BREAKWATER_HOME": str(home)} | more


def status_of(url: str, path: str, token: str = "") -> int:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def run(home: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        env=environment(home, **env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def children_of(home: Path, word: str = "") -> list[psutil.Process]:
    """Processes that work for `home`, with `word` in their command line."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            works_here = str(home / "pg") in line or process.environ().get(MARK) == str(home)
            if works_here and word in line:
                found.append(process)
        except psutil.Error:
            continue
    return found


@contextmanager
def serving(home: Path) -> Iterator[Up]:
    up = Up(home)
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.process.terminate()
            up.await_end()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with serving(tmp_path_factory.mktemp("up")) as up:
        yield up


def test_the_first_start_prints_a_password_that_is_kept_nowhere(up: Up) -> None:
    assert up.password
    for kept in (*up.home.glob("logs/*"), *up.home.glob("*.json")):
        assert up.password not in kept.read_text(errors="replace")


def test_a_second_up_names_the_address_of_the_first(up: Up) -> None:
    second = run(up.home, "up")

    assert second.returncode == 1
    assert up.url in second.stderr
    assert status_of(up.url, "/readyz") == 200


def test_a_token_made_on_the_command_line_opens_the_running_instance(up: Up) -> None:
    made = run(up.home, "token", "create", "--user", "admin", "--scope", "admin")

    assert made.returncode == 0, made.stderr
    token = made.stdout.splitlines()[-1]
    assert status_of(up.url, "/api/v1/projects", token) == 200
    assert status_of(up.url, "/api/v1/projects", "no-" + token) == 401


def test_a_command_follows_its_run_and_gives_one_result(up: Up, tmp_path: Path) -> None:
    source = tmp_path / "mathematics.py"
    source.write_text(
        'def mean(numbers):\n    """Add up the numbers and divide by how many there are."""\n'
        "    total = 0\n    for number in numbers:\n        total += number\n    return total / len(numbers)\n"
    )

    done = run(up.home, "ingest", "small", str(source), "--license", "MIT", "--json")
    too_many = run(up.home, "select", "small", "--k", "5")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["state"], result["total"], result["pending"]) == (
        "completed",
        sum(result["done"].values()),
        0,
    )
    assert "completed: 1 of 1" in done.stderr
    assert too_many.returncode == 1
    assert too_many.stderr.startswith("breakwater: ")


def test_a_finished_set_is_brought_by_a_command_that_says_what_became_of_its_rows(
    up: Up, tmp_path: Path
) -> None:
    rows = [
        {"instruction": f"Add {n} in Python.", "output": f"def f(x):\n    return x + {n}"} for n in range(3)
    ]
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0], {"instruction": "Add."}]))

    done = run(up.home, "import", "brought", str(path), "--license", "MIT", "--json")
    unknown = run(up.home, "import", "brought", str(path), "--format", "xml")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["kind"], result["state"]) == ("import", "completed")
    assert result["done"] == {"added": 3, "duplicate": 1, "missing_field": 1}
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "unknown format “xml”: one of auto, codeocean, alpaca, argilla" in unknown.stderr


def test_an_unknown_person_is_a_clear_message_and_wrong_usage_is_status_two(up: Up) -> None:
    nobody = run(up.home, "token", "create", "--user", "nobody", "--scope", "read")
    wrong = run(up.home, "token", "create", "--user", "admin", "--scope", "everything")

    assert (nobody.returncode, nobody.stderr) == (1, "breakwater: there is nobody called nobody\n")
    assert wrong.returncode == 2


def test_a_killed_web_server_and_worker_come_back(up: Up) -> None:
    killed = [*children_of(up.home, "uvicorn"), *children_of(up.home, "--queues cpu")]
    assert len(killed) >= 3  # the web server, a worker and its child
    kill(killed)

    deadline = time.monotonic() + 20
    while status_of(up.url, "/readyz") != 200 or len(children_of(up.home, "--queues cpu")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_port_that_was_asked_for_and_is_busy_is_refused_by_name(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        refused = run(tmp_path, "up", "--no-demo", PORT=str(port))

    assert refused.returncode == 1
    assert f"port {port} is in use" in refused.stderr
    assert not children_of(tmp_path)


def test_after_a_kill_of_everything_up_goes_on_and_two_signals_to_its_group_end_it(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        kill((psutil.Process(first.process.pid), *children_of(tmp_path)))
        first.await_end()

    with serving(tmp_path) as second:
        assert second.password is None
        record = json.loads((tmp_path / "supervisor.json").read_text())
        assert record["url"] == second.url
        assert (tmp_path / "supervisor.json").stat().st_mode & 0o077 == 0

        os.killpg(second.process.pid, signal.SIGTERM)
        time.sleep(0.2)
        os.killpg(second.process.pid, signal.SIGTERM)
        assert second.await_end() == 0
    assert not children_of(tmp_path)
    assert not (tmp_path / "supervisor.json").exists()

"""The supervisor's look at a server that lives: any that answers stays, and one that is silent is killed."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest

from app.runtime import processes
from app.runtime.processes import Child
from app.runtime.pulse import Pulse

SILENT_S = 1.0
PATIENCE_S = 60


class Watched:
    """A server and what the supervisor does about it."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        words = ["-m", "http.server", str(self.port), "--bind", "127.0.0.1", "--directory", str(folder)]
        self.child = Child("web", [sys.executable, *words], env=dict(os.environ), log=folder / "web.log")
        self.said: list[str] = []
        self.child.start()
        self.pulse: Pulse | None = None
        self.watch(until_answer=True)
        self.pulse = Pulse(self.child, f"http://127.0.0.1:{self.port}", SILENT_S)

    @property
    def pid(self) -> int:
        assert self.child.pid is not None
        return self.child.pid

    def watch(self, for_s: float = PATIENCE_S, *, until_answer: bool = False) -> None:
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            if self.pulse is not None:
                self.pulse.look()
            if said := self.child.tend():
                self.said.append(said)
            if until_answer and self.answers():
                return
            time.sleep(0.05)
        assert not until_answer

    def answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=0.1)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status > 0
        except OSError:
            return False
        finally:
            connection.close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    try:
        yield watched
    finally:
        processes.end([watched.child], [])


def test_one_that_lives_but_does_not_answer_is_started_anew_and_that_is_said(watched: Watched) -> None:
    silent = psutil.Process(watched.pid)
    os.kill(silent.pid, signal.SIGSTOP)

    watched.watch(until_answer=True)

    assert not silent.is_running()
    assert watched.said[0].startswith("web did not answer /healthz for ")


def test_one_that_stands_still_for_a_moment_stays(watched: Watched) -> None:
    before = watched.pid
    for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGSTOP, signal.SIGCONT):
        os.kill(before, number)
        watched.watch(SILENT_S / 4)

    watched.watch(2 * SILENT_S)

    assert (watched.pid, watched.said) == (before, [])


def test_the_time_in_which_nobody_looked_is_no_silence(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = watched.pid
    monkeypatch.setattr("app.runtime.pulse.SLEPT_S", SILENT_S / 2)
    time.sleep(2 * SILENT_S)

    watched.watch(SILENT_S / 2, until_answer=True)

    assert (watched.pid, watched.said) == (before, [])

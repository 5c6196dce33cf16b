"""Child processes that are wanted: started, watched, started again after a crash, ended in order."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

MARK = "BREAKWATER_SUPERVISED"
"""Environment variable that names the data folder a child works for; see `end_leftovers`."""

LONGEST_LOG = 10 * 1024 * 1024
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A child that lived this long is well again: its next crash counts as the first."""


class Child:
    """One process and its log. Start it from the main thread (see `start`)."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        death_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.log = log
        self.crashes = 0
        self._command = command
        self._env = dict(env)
        self._death_signal = death_signal
        self._started_at = 0.0
        self._again_at: float | None = None
        self._why_killed: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it in a session of its own, with its output appended to the log.

        Of its own, so that a Ctrl-C or a signal to the whole group reaches only the parent, which then ends
        its children in the right order. Where the kernel can (Linux), the death signal reaches the child
        when the parent is killed; the kernel counts the death of a thread, hence the main thread.
        """
        if self.log.exists() and self.log.stat().st_size > LONGEST_LOG:
            self.log.replace(self.log.with_suffix(".log.1"))
        with open(self.log, "ab") as output:
            self._process = subprocess.Popen(
                [*_setpriv("--pdeathsig", self._death_signal.name.removeprefix("SIG")), *self._command],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started_at = time.monotonic()
        self._again_at = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def tend(self) -> str | None:
        """Start it again when it has ended and its pause is over. Says what happened, if anything did."""
        if self._process is None or self.is_alive:
            return None
        now = time.monotonic()
        if self._again_at is None:
            self._end_group(signal.SIGKILL)
            self.crashes = 1 if now - self._started_at > STEADY_S else self.crashes + 1
            pause = min(FIRST_PAUSE_S * 2 ** (self.crashes - 1), LONGEST_PAUSE_S)
            self._again_at = now + pause
            why, self._why_killed = self._why_killed or f"ended with status {self.status}", None
            return (
                f"{self.name} {why}, starting it again in {pause:g} s;"
                f" {self.log} ends with: {self.last_words(1)}"
            )
        if now >= self._again_at:
            self.start()
        return None

    def last_words(self, lines: int = 12) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def send(self, number: signal.Signals) -> None:
        if self._process is not None and self.is_alive:
            self._process.send_signal(number)

    def await_end(self, deadline: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            return

    def kill(self) -> None:
        """Kill what is left of it and its children."""
        self._end_group(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def give_up(self, why: str) -> None:
        """Kill it and its children, so that `tend` starts it anew and says why: "did not answer for 30 s"."""
        self._why_killed = why
        self._end_group(signal.SIGKILL)

    def _end_group(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return


def end(children: Sequence[Child], steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn to those still alive, waiting that many seconds; at last kill their groups."""
    for number, patience in steps:
        for child in children:
            child.send(number)
        deadline = time.monotonic() + patience
        for child in children:
            child.await_end(deadline)
    for child in children:
        child.kill()


def end_leftovers(home: Path) -> None:
    """End this user's processes that a killed supervisor of `home` left behind (its PostgreSQL apart)."""
    leftovers = [process for process in psutil.process_iter() if _works_for(process, home)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in leftovers:
            if process.is_running():
                process.send_signal(number)
        _, leftovers = psutil.wait_procs(leftovers, timeout=2)


def _works_for(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get(MARK) == str(home)
    except (psutil.Error, OSError):  # gone meanwhile, or another user's
        return False


def _setpriv(*options: str) -> list[str]:
    found = shutil.which("setpriv")
    return [found, *options] if found else []

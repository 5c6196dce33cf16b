"""Starting and ending child processes so that none outlives its parent."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil


def start(
    command: Sequence[str], *, env: Mapping[str, str], log: Path, death_signal: signal.Signals
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, with its output appended to `log`.

    Of its own, so that a Ctrl-C or a signal to the whole group reaches only the parent, which then ends its
    children in the right order. Where the kernel can (Linux), `death_signal` reaches the child when the
    parent is killed; call this from the main thread, since the kernel counts the death of a thread.
    """
    with open(log, "ab") as output:
        return subprocess.Popen(
            [*_setpriv("--pdeathsig", death_signal.name.removeprefix("SIG")), *command],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _setpriv(*options: str) -> list[str]:
    found = shutil.which("setpriv")
    return [found, *options] if found else []


def end(child: subprocess.Popen[bytes], steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn until the child is gone; after a signal, wait that many seconds.

    When all of them were in vain the whole process group is killed.
    """
    for number, patience in steps:
        if child.poll() is not None:
            return
        child.send_signal(number)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def end_leftovers(name: str, folder: Path, polite: signal.Signals) -> None:
    """End processes called `name` that work in `folder`: what a killed parent left behind."""
    leftovers = [process for process in psutil.process_iter() if _works_in(process, name, folder)]
    for number in (polite, signal.SIGKILL):
        for process in leftovers:
            if process.is_running():
                process.send_signal(number)
        _, leftovers = psutil.wait_procs(leftovers, timeout=10)


def _works_in(process: psutil.Process, name: str, folder: Path) -> bool:
    try:
        return process.name() == name and Path(process.cwd()) == folder
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False

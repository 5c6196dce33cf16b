"""Work in a process of its own, forked off this one, that can be ended at any moment. Touches processes.

A thread cannot be ended and a computation in C hears no signal; a process always can be. It dies with whoever
forked it, so that nothing goes on that nobody waits for.
"""

import ctypes
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

_SHORTEST_LOOK_S, _LONGEST_LOOK_S = 0.001, 0.05
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_INHERITED = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)


class Forked:
    """`work` at work. Fork from a process, or at least a thread, that stays until the work has ended."""

    def __init__(self, work: Callable[[], None]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._status: int | None = None
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _be(work, parent)

    def wait(self, seconds: float = 0) -> int | None:
        """Its exit status, negative for the signal that ended it; None when it goes on after `seconds`."""
        deadline, pause = time.monotonic() + seconds, _SHORTEST_LOOK_S
        while self._status is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self._status = os.waitstatus_to_exitcode(status)
            elif (left := deadline - time.monotonic()) > 0:
                time.sleep(min(pause, left))
                pause = min(2 * pause, _LONGEST_LOOK_S)
            else:
                break
        return self._status

    def ask_to_stop(self) -> None:
        """Send SIGTERM, which ends it unless its work listens."""
        if self.wait() is None:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it now, wherever it is. One that has ended stays as it ended."""
        if self.wait() is None:
            os.kill(self.pid, signal.SIGKILL)
            while self.wait(1) is None:
                pass


def limit_memory(more: int) -> None:
    """Let this process take at most `more` bytes of address space beyond what it has; a lower limit stays.

    What asks for more gets a MemoryError, or is ended where C takes no notice.
    """
    _, highest = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, highest))
    with suppress(OSError, ValueError):  # no Linux
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        now, highest = resource.getrlimit(resource.RLIMIT_AS)
        if now == resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, highest))


@contextmanager
def memory_limited(more: int) -> Generator[None]:
    """The same while the block lasts."""
    kinds = (resource.RLIMIT_CORE, resource.RLIMIT_AS)
    before = [resource.getrlimit(kind) for kind in kinds]
    limit_memory(more)
    try:
        yield
    finally:
        for kind, limits in zip(kinds, before, strict=True):
            resource.setrlimit(kind, limits)


def _be(work: Callable[[], None], parent: int) -> None:
    """The life of the new process. What its parent has open or planned for its own end is not its business."""
    status = 1
    try:
        _die_with(parent)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
        for number in _INHERITED:
            signal.signal(number, signal.SIG_DFL)
        work()
        status = 0
    finally:
        try:
            if status:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be told
        os._exit(1)

"""What the engine knows of the process it works in."""

from collections.abc import Callable
from typing import NamedTuple


def _never() -> bool:
    return False


def _silent() -> None: ...


class Process(NamedTuple):
    """A worker process, as the entry point describes it."""

    owner: str  # who holds its leases
    is_stopping: Callable[[], bool] = _never  # whether it was asked to end
    keep_alive: Callable[[], None] = _silent  # called every few seconds of work
    forks_jobs: bool = False  # each job in a process of its own, which can be ended in the middle of a step

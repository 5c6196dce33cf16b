"""Waiting for what happens in another thread or process."""

import time
from collections.abc import Callable


def await_that(is_so: Callable[[], bool], within: float) -> None:
    """Look again and again, for at most `within` seconds."""
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, f"not so within {within} s"
        time.sleep(0.05)

"""What we claim about speed and size, runnable: each prints a table and, as its last line, one JSON object.

A module has `run(full) -> dict`, the figures by name, and `main()`; `breakwater bench NAME` calls the first.
"""

import argparse
import json
import signal
from collections.abc import Callable
from typing import Any

Run = Callable[[bool], dict[str, Any]]


def show(found: dict[str, Any]) -> None:
    """Print figures for people and, as the last line, for scripts."""
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:>{width}}  {value}")
    print(json.dumps(found), flush=True)


def main(run: Run) -> None:
    """The command line of a benchmark."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended on the way out
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="the sizes the issues name")
    show(run(parser.parse_args().full))

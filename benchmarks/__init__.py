"""What we claim about speed and size, runnable: each prints a table and, as its last line, one JSON object.

A module has `run(full) -> dict`, the figures by name, and `main()`; `breakwater bench NAME` calls the first.
"""

import argparse
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[[bool], dict[str, Any]]
RunOnFile = Callable[[bool, Path | None], dict[str, Any]]


def show(found: dict[str, Any]) -> None:
    """Print figures for people and, as the last line, for scripts."""
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:>{width}}  {value}")
    print(json.dumps(found), flush=True)


def main(run: Run) -> None:
    """The command line of a benchmark."""
    show(run(_command_line().parse_args().full))


def main_on_file(run: RunOnFile) -> None:
    """The command line of one that measures on a file of the user's, too."""
    parser = _command_line()
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="measure on this instead of what it makes up"
    )
    asked = parser.parse_args()
    show(run(asked.full, asked.data))


def _command_line() -> argparse.ArgumentParser:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended on the way out
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="the sizes the issues name")
    return parser

"""How every process writes its log: lines to stderr, as text for people or JSON for machines."""

import logging
import sys
from contextlib import suppress
from typing import Literal, TextIO, cast

import structlog
from structlog.typing import Processor


class Unbreakable:
    """Standard error for log lines: what it does not take, as when the disk is full, is counted and not raised.

    Whoever logs does something else in the first place, and that has to come to its end.
    """

    def __init__(self) -> None:
        self._lost = 0

    def write(self, line: str) -> int:
        try:
            if self._lost:
                sys.stderr.write(f"\n{self._lost} log lines are missing here: they could not be written\n")
                self._lost = 0
            sys.stderr.write(line)
        except (OSError, ValueError):  # ValueError: it is closed
            self._lost += line.count("\n")
        return len(line)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


LINES = cast(TextIO, Unbreakable())

QUIET = ("alembic", "httpx2", "httpcore2")


def configure_logging(log_format: Literal["text", "json"]) -> None:
    """Send structlog and the standard library's loggers to stderr in one shape. Call once per process."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    shape: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                # Not rich's: it takes seconds, and prints local variables, a password perhaps among them.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    structlog.configure(
        processors=[*shared, *shape],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(LINES),
    )
    lines = logging.StreamHandler(LINES)
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shape],
        )
    )
    logging.basicConfig(handlers=[lines], level=logging.INFO)  # leaves those alone that a test run has set
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error"):  # it brings handlers of its own
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True

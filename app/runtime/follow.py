"""Following a run to its end: a bar on a terminal, plain lines in a pipe, always on stderr."""

import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.orm import Session, sessionmaker

from app.pipeline import RunState
from app.runs.service import SeenRun, seen
from app.runtime.processes import Child
from app.storage.tables import Run

MOVING = (RunState.QUEUED, RunState.RUNNING)
LOOK_EVERY_S = 0.3
LINE_EVERY_S = 2.0


def follow(sessions: sessionmaker[Session], run_id: int, watched: Sequence[Child]) -> SeenRun:
    """Show how a run goes until it ends or pauses; gives how it stands then.

    `watched` are the processes that do the work, where this command started them.
    """
    with _shown() as show:
        while True:
            with sessions() as session:
                now = seen(session, session.get_one(Run, run_id))
            show(now)
            if now.run.state not in MOVING:
                return now
            for child in watched:
                if said := child.tend():
                    print(said, file=sys.stderr)
            time.sleep(LOOK_EVERY_S)


@contextmanager
def _shown() -> Generator[Callable[[SeenRun], None]]:
    if not sys.stderr.isatty():
        yield _line_by_line()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task("")

        def show(now: SeenRun) -> None:
            total = now.progress.total or None
            ended = now.progress.total - now.progress.pending
            bars.update(bar, description=_name(now), total=total, completed=ended)

        yield show


def _line_by_line() -> Callable[[SeenRun], None]:
    last_line, last_at = "", 0.0

    def show(now: SeenRun) -> None:
        nonlocal last_line, last_at
        line = f"{_name(now)}: {now.progress.total - now.progress.pending} of {now.progress.total}"
        line += f". {now.standing}" if now.standing else ""
        is_due = time.monotonic() - last_at > LINE_EVERY_S or now.run.state not in MOVING
        if line != last_line and is_due:
            print(line, file=sys.stderr, flush=True)
            last_line, last_at = line, time.monotonic()

    return show


def _name(now: SeenRun) -> str:
    return f"{now.run.kind} run {now.run.id} {now.run.state}"

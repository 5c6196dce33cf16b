"""The demo project: the functions of the standard library that runs us, by the offline teacher and judge.

Each step is left out when an earlier start has done it, so that loading goes on where a stop interrupted it.
"""

import platform
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.console.service import create_project
from app.generation import service as generation
from app.ingestion.service import start_ingest
from app.pipeline import OFFLINE, UNFINISHED_RUNS, RunKind, Task
from app.selection import service as selection
from app.storage.tables import Project, Run

SLUG = "demo"
PICKS = 200
INSTANCES = 600  # three of each pick: what can be derived without a model

_DESCRIPTION = (
    f"Real code, offline opinions: functions of the Python {platform.python_version()} standard library on this "
    "machine. Instances and verdicts come from the offline teacher and judge, not from a model."
)

_log = structlog.get_logger()


class DemoStopped(Exception):
    """A step of the demo ended without its result; the run's page says why."""


def load_demo(sessions: sessionmaker[Session]) -> None:
    """Bring the demo project to instances that wait for review. Raises `DemoStopped`."""
    with sessions.begin() as session:
        project = session.scalars(select(Project).where(Project.slug == SLUG)).one_or_none()
        project_id = (project or _create(session)).id
    steps: tuple[tuple[RunKind, Callable[[Session, Project], Run]], ...] = (
        (RunKind.INGEST, _ingest),
        (RunKind.SELECT, _select),
        (RunKind.GENERATE, _generate),
    )
    for kind, start in steps:
        with sessions.begin() as session:
            run = _first_run(session, project_id, kind) or start(
                session, session.get_one(Project, project_id)
            )
            run_id = run.id
        _await_end(sessions, run_id)
        _log.info("demo_step_done", kind=kind.value, run_id=run_id)


def _create(session: Session) -> Project:
    return create_project(session, None, "Demo", _DESCRIPTION, is_demo=True)


def _ingest(session: Session, project: Project) -> Run:
    return start_ingest(session, project, Path(sysconfig.get_path("stdlib")), "checkout", "PSF-2.0", None)


def _select(session: Session, project: Project) -> Run:
    return selection.start_selection(session, project, selection.Wanted(k=PICKS), None)


def _generate(session: Session, project: Project) -> Run:
    tasks = {task.value: 1.0 for task in (Task.SUMMARIZATION, Task.GENERATION, Task.REPAIR)}
    wanted = generation.Wanted(tasks, INSTANCES, generator=OFFLINE, discriminator=OFFLINE)
    return generation.start_generation(session, project, wanted, None)


def _first_run(session: Session, project_id: int, kind: RunKind) -> Run | None:
    return session.scalars(
        select(Run).where(Run.project_id == project_id, Run.kind == kind).order_by(Run.id).limit(1)
    ).one_or_none()


def _await_end(sessions: sessionmaker[Session], run_id: int) -> None:
    while True:
        with sessions() as session:
            run = session.get_one(Run, run_id)
        if run.state not in UNFINISHED_RUNS:
            break
        time.sleep(0.25)
    if not run.state.startswith("completed"):
        raise DemoStopped(f"run {run_id} is {run.state}: {run.reason or 'see its page'}")

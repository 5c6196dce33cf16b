"""Releases as a worker builds them, and what is in their files."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.export import service
from app.export.asking import Wanted
from app.export.service import build_release, start_release
from app.storage.tables import Project, Run


def build(session: Session, project: Project, wanted: Wanted) -> tuple[Run, Path]:
    run = start_release(session, project, wanted, None)
    for _ in build_release(session, run):
        session.flush()
    release = service.queries.release_of_run(session, run.id)
    return run, service.folder_of(project, release)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]

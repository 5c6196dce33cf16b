from collections.abc import Callable

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.pipeline import RunState
from app.selection import service
from app.storage.tables import Project, Run
from tests.factories import make_project, make_snippet
from tests.web.clients import application_on


@pytest.fixture
def app(session: Session) -> FastAPI:
    return application_on(session)


@pytest.fixture
def project_with_code(session: Session) -> Project:
    """Twenty snippets that differ, every fourth in Ruby."""
    project = make_project(session)
    words = ("sort", "read", "parse", "merge", "count")
    for number in range(20):
        first, second = words[number % 5], words[number // 4]
        code = f"def {first}_{second}(rows):\n    {second} = {first}(rows, {number})\n    return {second}\n"
        language = "python" if number % 4 else "ruby"
        make_snippet(session, project, name=f"{first}_{second}_{number}", code=code, language=language)
    return project


@pytest.fixture
def work(session: Session) -> Callable[[], None]:
    """What a worker does with the newest run."""

    def work() -> None:
        run = session.scalars(select(Run).order_by(Run.id.desc()).limit(1)).one()
        for _ in service.select(session, run):
            session.commit()
        run.state = RunState.COMPLETED
        session.commit()

    return work

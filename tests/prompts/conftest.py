"""A project with picks, its lead, and the engine's two steps with a model that says what a test tells it to."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.engine.asking import take_off
from app.engine.items import claim
from app.engine.recording import Landed, land
from app.pipeline import MODEL_STAGES, RunKind, RunState
from app.prompting.prompt import Prompt, Reply
from app.runtime.wiring import HANDLERS
from app.settings import settings
from app.storage.tables import Person, Pick, Price, Project, Run, Selection, WorkItem
from tests.factories import make_person, make_project, make_run, make_snippet
from tests.web.clients import application_on

Answer = Callable[[Prompt], str]


@pytest.fixture
def app(session: Session) -> FastAPI:
    return application_on(session)


@pytest.fixture
def project(session: Session) -> Project:
    """With a completed selection of three picks."""
    project = make_project(session)
    run = make_run(session, project, kind=RunKind.SELECT, state=RunState.COMPLETED)
    selection = Selection(project_id=project.id, run_id=run.id, k=3, seed=0, embedder="test")
    session.add(selection)
    session.flush()
    for rank in (1, 2, 3):
        snippet = make_snippet(session, project)
        session.add(Pick(selection_id=selection.id, snippet_id=snippet.id, rank=rank, radius=1.0))
    session.flush()
    return project


@pytest.fixture
def lead(session: Session, project: Project) -> Person:
    return make_person(session, "admin", project)


@pytest.fixture
def with_model(session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A priced model for both."""
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.setenv("GENERATOR_MODEL", "some-model")
    monkeypatch.setenv("DISCRIMINATOR_MODEL", "some-model")
    settings.cache_clear()
    session.add(Price(model="some-model", input_micro=150_000, output_micro=600_000))
    session.flush()
    yield "some-model"
    settings.cache_clear()


def instance_or_verdict(prompt: Prompt) -> str:
    """A reply that can be used, whatever was asked."""
    if prompt.schema_name == "verdict":
        rules = [name for name in prompt.schema["properties"] if name != "overall"]
        answers: dict[str, Any] = {rule: {"reason": "seen", "answer": "yes"} for rule in rules}
        return json.dumps(answers | {"overall": "yes"})
    return json.dumps(
        {
            "task_name": prompt.schema["properties"]["task_name"]["enum"][0],
            "instruction": "Write a Python function that adds one.",
            "information": "def add(x):\n    return x",
            "solution": "def add(x):\n    return x + 1",
        }
    )


def a_turn(session: Session, answer: Answer = instance_or_verdict) -> list[Prompt]:
    """All questions asked once, no try waited for, and their answers recorded; returns what was asked."""
    session.execute(update(WorkItem).values(next_attempt_at=func.now()))
    departures = take_off(session, HANDLERS, claim(session, MODEL_STAGES, 100, "tests")).departures
    landed = [
        Landed(one.call.id, one.item, Reply(answer(one.prompt), "stop", None, 100, 20), 5)
        for one in departures
    ]
    land(session, HANDLERS, landed)
    session.flush()
    return [one.prompt for one in departures]


def runs_of(session: Session, project: Project, kind: RunKind) -> list[Run]:
    query = select(Run).where(Run.project_id == project.id, Run.kind == kind).order_by(Run.id)
    return list(session.scalars(query))

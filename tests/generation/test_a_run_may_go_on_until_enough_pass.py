"""A run with a goal plans its attempts per task and language, and lets go only what may be needed."""

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.engine.goals import lanes_of
from app.errors import InvalidInput
from app.generation.plan import Wanted
from app.generation.service import check_order, start_generation
from app.pipeline import ItemState, RunKind, RunState
from app.storage.tables import Pick, Project, Selection, WorkItem
from tests.factories import make_project, make_run, make_snippet


@pytest.fixture
def project(session: Session) -> Project:
    """With a completed selection of two picks in Go and one in PHP."""
    project = make_project(session)
    run = make_run(session, project, kind=RunKind.SELECT, state=RunState.COMPLETED)
    selection = Selection(project_id=project.id, run_id=run.id, k=3, seed=0, embedder="test")
    session.add(selection)
    session.flush()
    for rank, language in enumerate(("go", "php", "go"), start=1):
        snippet = make_snippet(session, project, language=language)
        session.add(Pick(selection_id=selection.id, snippet_id=snippet.id, rank=rank, radius=1.0))
    session.flush()
    return project


def wanted(**values: Any) -> Wanted:
    return Wanted(**({"tasks": {"generation": 1, "repair": 5}, "until_pass": 2, "at_most": 3} | values))


def test_every_task_and_language_gets_its_attempts_and_as_many_as_should_pass_are_let_go(
    session: Session, project: Project
) -> None:
    run = start_generation(session, project, wanted(), None)
    states = Counter(session.scalars(select(WorkItem.state).where(WorkItem.run_id == run.id)))
    lanes = {lane.lane: (lane.wanted, lane.active, lane.parked) for lane in lanes_of(session, run.id)}

    assert run.total == 12
    assert states == {ItemState.PENDING: 8, ItemState.PARKED: 4}
    assert lanes == dict.fromkeys(("generation/go", "generation/php", "repair/go", "repair/php"), (2, 2, 1))
    assert run.params["goal"] == {"passes": 2, "at_most": 3}


def test_twice_as_many_attempts_are_planned_where_nothing_else_is_said(
    session: Session, project: Project
) -> None:
    assert check_order(session, project, wanted(at_most=None)).total == 16


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"count": 5}, "count"),
        ({"until_pass": None}, "at_most"),
        ({"until_pass": None, "at_most": None}, "count"),
        ({"at_most": 1}, "at_most"),
        ({"until_pass": 0}, "until_pass"),
        ({"at_most": 999_999}, "at_most"),
        ({"priority": "urgent"}, "priority"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    session: Session, project: Project, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_order(session, project, wanted(**values))

    assert refused.value.field == field

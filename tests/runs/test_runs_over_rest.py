"""Runs are seen and steered over REST, and their counts conserve in every answer."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.accounts.log import log_entries
from app.engine.closing import close, finish
from app.engine.handlers import Ending
from app.engine.items import add_items, claim
from app.pipeline import Outcome, RunKind, RunState, Scope, Stage
from app.storage.tables import Project, Run
from tests.factories import make_person, make_project, make_run
from tests.web.clients import application_on, with_token


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def client(session: Session, project: Project) -> TestClient:
    return with_token(application_on(session), session, make_person(session, "admin", project), Scope.ADMIN)


@pytest.fixture
def run(session: Session, project: Project) -> Run:
    """A generation of five, two of which are done."""
    run = make_run(session, project, kind=RunKind.GENERATE, state=RunState.RUNNING, total=5)
    add_items(session, run, Stage.GENERATE, range(1, 6))
    first, second = claim(session, [Stage.GENERATE], 2, "test")
    close(
        session,
        [finish(first, Ending(outcome=Outcome.PASSED)), finish(second, Ending(outcome=Outcome.UNUSABLE))],
    )
    session.commit()
    return run


def address(project: Project, run: Run, step: str = "") -> str:
    return f"/api/v1/projects/{project.slug}/runs/{run.id}{step}"


def conserved(answer: dict[str, Any]) -> bool:
    return answer["total"] == sum(answer["done"].values()) + answer["pending"]


def test_a_run_says_where_it_stands(client: TestClient, project: Project, run: Run) -> None:
    answer = client.get(address(project, run)).json()

    assert (answer["state"], answer["total"], answer["pending"]) == ("running", 5, 3)
    assert answer["done"] == {"passed": 1, "unusable": 1}


def test_pause_resume_and_cancel_conserve_the_counts(client: TestClient, project: Project, run: Run) -> None:
    answers = [
        client.post(address(project, run, f"/{step}")).json() for step in ("pause", "resume", "cancel")
    ]

    assert [answer["state"] for answer in answers] == ["paused", "queued", "cancelled"]
    assert all(conserved(answer) for answer in answers)
    assert answers[-1]["done"] == {"passed": 1, "unusable": 1, "cancelled": 3}


@pytest.mark.parametrize("step", ["pause", "resume", "cancel"])
def test_an_ended_run_cannot_be_steered(
    client: TestClient, session: Session, project: Project, run: Run, step: str
) -> None:
    run.state = RunState.COMPLETED
    session.commit()

    answer = client.post(address(project, run, f"/{step}"))

    assert answer.status_code == 409
    assert "completed" in answer.json()["detail"]


def test_another_projects_run_is_not_there(client: TestClient, session: Session, project: Project) -> None:
    elsewhere = make_run(session)

    assert client.get(address(project, elsewhere)).status_code == 404


def test_a_reader_may_look_but_not_steer(session: Session, project: Project, run: Run) -> None:
    reader = with_token(
        application_on(session), session, make_person(session, "viewer", project), Scope.ADMIN
    )

    assert reader.get(address(project, run)).status_code == 200
    assert reader.post(address(project, run, "/cancel")).status_code == 403


def test_the_list_is_newest_first_in_pages(client: TestClient, session: Session, project: Project) -> None:
    made = [make_run(session, project, kind=RunKind.INGEST, total=0).id for _ in range(3)]

    first = client.get(f"/api/v1/projects/{project.slug}/runs?limit=2").json()
    rest = client.get(f"/api/v1/projects/{project.slug}/runs?limit=2&cursor={first['next']}").json()

    assert [run["id"] for run in first["items"] + rest["items"]] == made[::-1]
    assert rest["next"] is None


def test_every_step_is_in_the_log_of_who_did_what(
    client: TestClient, session: Session, project: Project, run: Run
) -> None:
    client.post(address(project, run, "/pause"))

    entries = log_entries(session, before=None, limit=5, project_id=project.id)
    assert ("run paused", f"run {run.id}") in [(entry.action, entry.subject) for entry, _, _ in entries]

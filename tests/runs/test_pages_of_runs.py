"""The page of a run shows what became of its rows, with the raw replies of what went wrong."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.engine.closing import close, finish
from app.engine.handlers import Ending
from app.engine.items import claim
from app.pipeline import Outcome, RunKind, RunState, Stage
from app.storage.tables import Project, Rejection, Run
from tests.factories import (
    make_call,
    make_instance,
    make_item,
    make_person,
    make_pick,
    make_project,
    make_run,
    make_snippet,
)
from tests.web.clients import application_on, signed_in


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def client(session: Session, project: Project) -> TestClient:
    return signed_in(application_on(session), session, make_person(session, "admin", project))


@pytest.fixture
def run(session: Session, project: Project) -> Run:
    """A generation of one whose reply could not be used."""
    run = make_run(
        session,
        project,
        state=RunState.RUNNING,
        total=1,
        params={"generator": "test", "discriminator": "test", "seed": 3},
    )
    instance = make_instance(
        session, make_pick(session, make_snippet(session, project)), run, status="unusable"
    )
    make_item(session, instance, Stage.GENERATE)
    [item] = claim(session, [Stage.GENERATE], 1, "test")
    make_call(session, item, "<script>I would rather not</script>")
    close(session, [finish(item, Ending(outcome=Outcome.UNUSABLE))])
    session.commit()
    return run


def test_the_raw_reply_of_what_could_not_be_used_is_shown_as_text(client: TestClient, run: Run) -> None:
    page = client.get(f"/runs/{run.id}").text

    assert "&lt;script&gt;I would rather not&lt;/script&gt;" in page
    assert "100.0 %" in page


def test_htmx_gets_only_the_part_that_moves(client: TestClient, run: Run) -> None:
    part = client.get(f"/runs/{run.id}", headers={"HX-Request": "true"}).text

    assert part.lstrip().startswith('<div id="run-progress"')
    assert "rather not" not in part


def test_what_the_cleaning_rules_refused_stands_with_its_place(
    client: TestClient, session: Session, project: Project
) -> None:
    ingest = make_run(session, project, kind=RunKind.INGEST, state=RunState.COMPLETED, total=1)
    session.add(
        Rejection(
            run_id=ingest.id,
            rule="broken_line",
            file="rows.jsonl",
            line=812,
            excerpt='{"half',
            why="not JSON",
        )
    )
    session.commit()

    page = client.get(f"/runs/{ingest.id}").text

    assert "rows.jsonl:812" in page
    assert "not JSON" in page


def test_a_run_is_paused_by_its_button(client: TestClient, session: Session, run: Run) -> None:
    answer = client.post(f"/runs/{run.id}/pause")

    session.refresh(run)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/runs/{run.id}")
    assert run.state == RunState.PAUSED


def test_a_project_without_runs_says_what_starts_one(client: TestClient) -> None:
    assert "Add a source" in client.get("/runs").text

"""Money by task, stage and model, and what it brought."""

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session

from app.pipeline import InstanceStatus, Scope, Stage, Task, Verdict
from app.storage.tables import CallTally, Instance, Person, Project
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
from tests.web.clients import signed_in, with_token


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def reader(session: Session, project: Project) -> Person:
    return make_person(session, "viewer", project, name="reader")


def made(session: Session, project: Project, task: Task, micro: int, **values: object) -> Instance:
    pick = make_pick(session, make_snippet(session, project))
    run = make_run(session, project)
    instance = make_instance(session, pick, run, task=task, text_hash="1", **values)
    for stage in (Stage.GENERATE, Stage.DISCRIMINATE):
        make_call(session, make_item(session, instance, stage), "{}", cost_micro=micro, model="some-model")
        session.add(
            CallTally(run_id=run.id, stage=stage, model="some-model", state="done", calls=1, cost_micro=micro)
        )
    session.flush()
    return instance


def test_the_price_of_what_passes_and_of_what_people_accept_counts_every_call(
    app: FastAPI, session: Session, project: Project, reader: Person
) -> None:
    made(session, project, Task.REPAIR, 100, verdict=Verdict.PASS, status=InstanceStatus.ACCEPTED)
    made(session, project, Task.REPAIR, 300, verdict=Verdict.FAIL, status=InstanceStatus.REJECTED)
    made(session, project, Task.GENERATION, 50, verdict=Verdict.PASS)

    answer = with_token(app, session, reader, Scope.READ).get(
        f"/api/v1/projects/{project.slug}/quality/costs"
    )

    found = answer.json()
    repair = found["by_task"]["repair"]
    assert (repair["made"], repair["passed"], repair["accepted"]) == (2, 1, 1)
    assert (repair["cost_usd"], repair["per_passed_usd"], repair["per_accepted_usd"]) == (
        0.0008,
        0.0008,
        0.0008,
    )
    assert found["by_task"]["generation"]["per_accepted_usd"] is None
    assert found["all"]["per_passed_usd"] == pytest.approx(0.00045)
    assert sum(one["cost_usd"] for one in found["by_stage"]) == pytest.approx(found["all"]["cost_usd"])


def test_the_page_has_the_same_and_says_when_there_is_nothing(
    app: FastAPI, session: Session, project: Project, reader: Person
) -> None:
    browser = signed_in(app, session, reader)
    assert "Nothing was generated yet" in browser.get("/quality/costs").text

    made(session, project, Task.SUMMARIZATION, 1_000_000, verdict=Verdict.PASS)

    page = browser.get("/quality/costs").text
    assert "summarization" in page
    assert "some-model" in page

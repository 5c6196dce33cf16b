"""A try of a prompt is a run whose calls are paid, limited and kept, and that makes neither instances nor verdicts."""

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.engine.runs import complete_runs
from app.generation.plan import Wanted
from app.generation.service import start_generation
from app.pipeline import RunKind, Scope, Task
from app.prompts import service
from app.runtime.desks import DESKS
from app.storage.tables import Call, Exemplar, Instance, Person, Project, Revision, Run, VerdictRow
from tests.factories import make_person, make_project
from tests.prompts.conftest import a_turn, runs_of
from tests.web.clients import signed_in, with_token

PAGE = "/prompts/generate/repair"
MADE = (Instance, Revision, VerdictRow)


def made(session: Session) -> list[int]:
    return [session.scalars(select(func.count()).select_from(table)).one() for table in MADE]


def the_try(session: Session, project: Project) -> Run:
    session.expire_all()
    return runs_of(session, project, RunKind.TRY)[-1]


@pytest.mark.usefixtures("with_model")
def test_the_page_says_the_price_before_and_the_replies_after(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    browser = signed_in(app, session, lead)
    content = DESKS["generate"].shipped(Task.REPAIR).content.replace("\n\n---", "\n\nBe bold.\n\n---")
    browser.post(f"{PAGE}/edit", data={"content": content})
    priced = browser.get(f"{PAGE}/try?version=1").text
    assert "Start the try for about $0.0" in priced
    assert runs_of(session, project, RunKind.TRY) == []

    answer = browser.post(f"{PAGE}/try", data={"version": "1"})
    run = the_try(session, project)
    assert answer.headers["Location"] == f"{PAGE}/tries/{run.id}"
    asked = a_turn(session)
    page = browser.get(f"{PAGE}/tries/{run.id}").text

    assert len(asked) == 3
    assert all("Be bold." in one.system for one in asked)
    assert page.count("Write a Python function that adds one.") >= 3
    assert made(session) == [0, 0, 0]
    assert session.scalars(select(func.count(Call.id)).where(Call.run_id == run.id)).one() == 3
    assert f'href="{PAGE}/tries/{run.id}"' in browser.get(f"/runs/{run.id}").text


@pytest.mark.usefixtures("with_model")
def test_its_calls_are_paid_within_a_budget_that_holds_three_replies_to_each_question(
    session: Session, project: Project, lead: Person
) -> None:
    run = service.start_try(session, project, DESKS["generate"], Task.REPAIR, "shipped", lead.id)
    turns = [a_turn(session, lambda _: "no") for _ in range(4)]
    complete_runs(session)
    session.refresh(run)

    assert [len(turn) for turn in turns] == [3, 3, 3, 0]
    assert run.budget_micro is not None
    assert 0 < run.cost_micro <= run.budget_micro
    assert (run.state, run.reserved_micro) == ("completed", 0)
    [tried, *_] = service.tried(session, DESKS["generate"], run)
    assert tried.reading is not None
    assert "holds no JSON object" in str(tried.reading.problem)


@pytest.mark.usefixtures("with_model")
def test_a_judges_prompt_is_tried_on_instances_whose_verdicts_stay(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    start_generation(session, project, Wanted(tasks={Task.REPAIR: 1}, count=2), lead)
    a_turn(session)
    a_turn(session)
    before, cases = made(session), session.scalars(select(func.count(Exemplar.id))).one()
    run = service.start_try(session, project, DESKS["judge"], Task.REPAIR, "shipped", lead.id)
    assert len(a_turn(session)) == 0  # the same questions were answered before
    page = signed_in(app, session, lead).get(f"/prompts/judge/repair/tries/{run.id}").text

    assert "answered before" in page
    assert "solution answers" in page
    assert made(session) == before
    assert session.scalars(select(func.count(Exemplar.id))).one() == cases


def test_offline_it_costs_nothing_and_says_that_the_prompt_is_not_read(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    browser = signed_in(app, session, lead)
    assert "It does not read prompts" in browser.get(f"{PAGE}/try").text
    browser.post(f"{PAGE}/try", data={"version": "shipped"})
    run = the_try(session, project)
    a_turn(session)

    assert (run.cost_micro, run.budget_micro) == (0, None)
    assert browser.get(f"{PAGE}/tries/{run.id}").text.count(">Solution<") == 3
    assert browser.get("/prompts/generate/translation/try").status_code == 409


def test_scripts_ask_for_the_price_and_start_one(
    app: FastAPI, session: Session, project: Project, lead: Person, with_model: str
) -> None:
    script = with_token(app, session, lead, Scope.ADMIN)
    path = f"/api/v1/projects/{project.slug}/prompts/generate/repair/tries"
    price = script.post(f"{path}/estimate", json={}).json()
    started = script.post(path, json={})

    assert (price["subjects"], price["model"]) == (3, with_model)
    assert 0 < price["cost_usd"] < price["at_most_usd"]
    assert started.status_code == 202
    assert started.headers["Location"].endswith(f"/runs/{started.json()['id']}")
    assert script.post(path, json={"version": 9}).status_code == 404


def test_without_picks_there_is_nothing_to_try_it_on(app: FastAPI, session: Session) -> None:
    empty = make_project(session)
    script = with_token(app, session, make_person(session, "admin", empty), Scope.ADMIN)
    answer = script.post(f"/api/v1/projects/{empty.slug}/prompts/generate/repair/tries", json={})

    assert answer.status_code == 409
    assert "no completed selection" in answer.json()["detail"]

"""The form at /generations/new, and POST .../generations."""

from html import unescape

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.sessions import open_session as sign_in
from app.accounts.tokens import create_token
from app.pipeline import RunKind, RunState, Scope
from app.storage.tables import Instance, Pick, Project, Run, Selection, SignIn
from app.web.dependencies import SESSION_COOKIE
from tests.factories import make_person, make_project, make_run, make_snippet

FORM = {"summarization": "1", "generation": "1", "repair": "1", "count": "6", "generator": "offline"}


@pytest.fixture
def project(session: Session) -> Project:
    """With a completed selection of two picks."""
    project = make_project(session)
    run = make_run(session, project, kind=RunKind.SELECT, state=RunState.COMPLETED)
    selection = Selection(project_id=project.id, run_id=run.id, k=2, seed=0, embedder="test")
    session.add(selection)
    session.flush()
    for rank in (1, 2):
        snippet = make_snippet(session, project)
        session.add(Pick(selection_id=selection.id, snippet_id=snippet.id, rank=rank, radius=1.0))
    session.flush()
    return project


def browser(app: FastAPI, session: Session, project: Project, role: str = "admin") -> TestClient:
    client = TestClient(app, follow_redirects=False)
    person = make_person(session, role, project)
    client.cookies.set(SESSION_COOKIE, sign_in(session, person))
    signed = session.scalars(select(SignIn).where(SignIn.person_id == person.id)).one()
    client.headers["X-CSRF-Token"] = signed.csrf_token
    return client


def script(app: FastAPI, session: Session, project: Project) -> TestClient:
    client = TestClient(app, follow_redirects=False)
    token = create_token(session, None, make_person(session, "admin", project), "tests", Scope.ADMIN)
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def runs_of(session: Session, project: Project) -> list[Run]:
    statement = select(Run).where(Run.project_id == project.id, Run.kind == RunKind.GENERATE)
    return list(session.scalars(statement))


def test_the_form_suggests_three_tasks_offline_and_says_what_translation_needs(
    app: FastAPI, session: Session, project: Project
) -> None:
    page = browser(app, session, project).get("/generations/new")

    assert page.status_code == 200
    assert "needs a model" in page.text
    assert "Costs nothing" in page.text
    assert '<input id="translation"' in page.text
    assert "disabled" in page.text.split('<input id="translation"')[1].split(">")[0]


def test_the_form_starts_a_run_and_leads_to_it(app: FastAPI, session: Session, project: Project) -> None:
    answer = browser(app, session, project).post("/generations", data=FORM)
    (run,) = runs_of(session, project)

    assert (answer.status_code, answer.headers["Location"]) == (303, f"/runs/{run.id}")
    assert len(session.scalars(select(Instance).where(Instance.run_id == run.id)).all()) == 6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": "many"}, "“many” is not a whole number"),
        ({"count": ""}, "is not a whole number"),
        ({"repair": "half"}, "“half” is not a number"),
        ({"summarization": "", "generation": "", "repair": ""}, "at least one task"),
        ({"budget_usd": "-1"}, "budget_usd must be"),
        ({"generator": "some-model"}, "no provider is configured"),
        ({"candidates": "two"}, "“two” is not a whole number"),
        ({"granularities": "line much"}, "“much” is not a number"),
        ({"targets": "go, java 2 or 3"}, "“java 2 or 3” is not a name and a number"),
    ],
)
def test_a_wrong_field_comes_back_with_what_is_wrong(
    app: FastAPI, session: Session, project: Project, change: dict[str, str], words: str
) -> None:
    answer = browser(app, session, project).post("/generations", data=FORM | change)

    assert answer.status_code == 422
    assert words in unescape(answer.text)
    assert runs_of(session, project) == []


def test_the_form_takes_shares_as_words(app: FastAPI, session: Session, project: Project) -> None:
    change = {"granularities": "line 2, paragraph", "candidates": "2"}
    browser(app, session, project).post("/generations", data=FORM | change)

    (run,) = runs_of(session, project)
    assert run.params["granularities"] == {"line": 2.0, "paragraph": 1.0}
    assert run.params["candidates"] == 2


def test_only_admins_start_runs(app: FastAPI, session: Session, project: Project) -> None:
    reader = browser(app, session, project, "annotator")

    assert reader.get("/generations/new").status_code == 403
    assert reader.post("/generations", data=FORM).status_code == 403


def test_without_a_selection_the_form_leads_to_one(app: FastAPI, session: Session) -> None:
    page = browser(app, session, make_project(session)).get("/generations/new")

    assert page.status_code == 200
    assert 'href="/selections"' in page.text


def test_htmx_gets_the_form_alone_with_what_was_typed(
    app: FastAPI, session: Session, project: Project
) -> None:
    page = browser(app, session, project).get(
        "/generations/new", params=FORM | {"count": "12"}, headers={"HX-Request": "true"}
    )

    assert page.text.lstrip().startswith("<form")
    assert 'value="12"' in page.text
    assert page.text.count('<td class="num">4</td>') == 3


def test_a_script_is_answered_202_with_the_run(app: FastAPI, session: Session, project: Project) -> None:
    body = {"tasks": {"generation": 0.5, "repair": 0.5}, "count": 4}
    answer = script(app, session, project).post(f"/api/v1/projects/{project.slug}/generations", json=body)
    (run,) = runs_of(session, project)

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/projects/{project.slug}/runs/{run.id}"
    assert (answer.json()["id"], answer.json()["total"]) == (run.id, 4)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tasks": {"translation": 1}}, "tasks"),
        ({"tasks": {"poetry": 1}}, "tasks"),
        ({"count": 0}, "count"),
        ({"count": "x"}, "count"),
        ({"seed": -1}, "seed"),
        ({"budgetusd": 5}, "budgetusd"),
        ({"selection_id": 10**18}, "selection_id"),
        ({"generator": "some-model"}, "generator"),
        ({"targets": {"cobol": 1}}, "targets"),
    ],
)
def test_a_script_is_told_which_field_is_wrong(
    app: FastAPI, session: Session, project: Project, change: dict[str, object], field: str
) -> None:
    body = {"tasks": {"generation": 1}, "count": 4} | change
    client = script(app, session, project)
    for address in ("generations", "generations/estimate"):
        answer = client.post(f"/api/v1/projects/{project.slug}/{address}", json=body)
        assert answer.status_code == 422
        assert field in [error["field"] for error in answer.json()["errors"]]
    assert runs_of(session, project) == []


def test_a_project_without_a_selection_is_a_conflict(app: FastAPI, session: Session) -> None:
    empty = make_project(session)
    answer = script(app, session, empty).post(
        f"/api/v1/projects/{empty.slug}/generations", json={"tasks": {"generation": 1}, "count": 4}
    )

    assert answer.status_code == 409

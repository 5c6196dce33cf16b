from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.pipeline import Scope
from app.storage.tables import Project, Run, Selection
from tests.factories import make_person, make_pick, make_project
from tests.web.clients import with_token


@pytest.fixture
def admin(app: FastAPI, session: Session) -> TestClient:
    return with_token(app, session, make_person(session, "admin"), Scope.ADMIN)


def test_a_script_selects_and_reads_the_picks_page_by_page(
    admin: TestClient, project_with_code: Project, work: Callable[[], None]
):
    base = f"/api/v1/projects/{project_with_code.slug}"

    started = admin.post(f"{base}/selections", json={"k": 5, "seed": 3, "languages": ["python"]})

    assert started.status_code == 202
    run = started.json()
    assert started.headers["Location"] == f"{base}/runs/{run['id']}"
    assert (run["kind"], run["state"], run["total"], run["params"]["seed"]) == ("select", "queued", 15, 3)
    here = f"{base}/selections/{run['selection_id']}"
    before = admin.get(here).json()
    assert (before["state"], before["picks"], before["coverage"]) == ("queued", 0, None)
    assert admin.get(f"{here}/picks").json() == {"items": [], "next": None}

    work()

    after = admin.get(here).json()
    assert (after["k"], after["picks"], after["languages"]) == (5, 5, ["python"])
    assert after["coverage"]["shares"] == [{"language": "python", "snippets": 15, "picks": 5}]
    assert [point["size"] for point in after["coverage"]["curve"]] == [1, 2, 3, 4, 5]
    first = admin.get(f"{here}/picks", params={"limit": 3}).json()
    rest = admin.get(f"{here}/picks", params={"limit": 3, "cursor": first["next"]}).json()
    picks = first["items"] + rest["items"]
    assert rest["next"] is None
    assert [pick["rank"] for pick in picks] == [1, 2, 3, 4, 5]
    assert len({pick["snippet_id"] for pick in picks}) == 5
    assert picks[-1]["radius"] == pytest.approx(after["coverage"]["curve"][-1]["largest"], abs=1e-3)


def test_selections_are_listed_the_newest_first(admin: TestClient, project_with_code: Project):
    address = f"/api/v1/projects/{project_with_code.slug}/selections"
    for k in (2, 3, 4):
        admin.post(address, json={"k": k})

    first = admin.get(address, params={"limit": 2}).json()
    rest = admin.get(address, params={"limit": 2, "cursor": first["next"]}).json()

    assert [one["k"] for one in first["items"] + rest["items"]] == [4, 3, 2]
    assert rest["next"] is None


def test_the_same_request_under_one_key_starts_one_selection(
    admin: TestClient, session: Session, project_with_code: Project
):
    address = f"/api/v1/projects/{project_with_code.slug}/selections"

    answers = [admin.post(address, json={"k": 2}, headers={"Idempotency-Key": "once"}) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    assert (
        len(session.scalars(select(Selection).where(Selection.project_id == project_with_code.id)).all()) == 1
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "k"),
        ({"k": "many"}, "k"),
        ({"k": 0}, "k"),
        ({"k": 21}, "k"),
        ({"k": 10**30}, "k"),
        ({"k": 2, "seed": 2**53}, "seed"),
        ({"k": 2, "languages": ["cobol"]}, "languages"),
        ({"k": 2, "languages": []}, "languages"),
        ({"k": 2, "embedder": "\x00"}, "embedder"),
        ({"k": 2, "kk": 3}, "kk"),
    ],
)
def test_a_request_that_cannot_be_met_names_its_field_and_starts_nothing(
    admin: TestClient, session: Session, project_with_code: Project, body: dict[str, object], field: str
):
    runs = select(Run.id).where(Run.project_id == project_with_code.id)
    before = session.scalars(runs).all()

    answer = admin.post(f"/api/v1/projects/{project_with_code.slug}/selections", json=body)

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field
    assert session.scalars(runs).all() == before


def test_a_project_without_snippets_cannot_select_yet(admin: TestClient, session: Session):
    answer = admin.post(f"/api/v1/projects/{make_project(session).slug}/selections", json={"k": 1})

    assert answer.status_code == 409
    assert "add a source first" in answer.json()["detail"]


def test_who_only_reads_starts_nothing_and_sees_no_other_project(
    app: FastAPI, session: Session, project_with_code: Project
):
    reader = with_token(app, session, make_person(session, "viewer", project_with_code), Scope.ADMIN)
    elsewhere = make_pick(session)
    base = f"/api/v1/projects/{project_with_code.slug}/selections"
    other = session.get_one(Project, session.get_one(Selection, elsewhere.selection_id).project_id)

    assert reader.get(base).status_code == 200
    assert reader.post(base, json={"k": 1}).status_code == 403
    assert reader.get(f"{base}/{elsewhere.selection_id}").status_code == 404
    assert reader.get(f"{base}/{elsewhere.selection_id}/picks").status_code == 404
    assert reader.get(f"/api/v1/projects/{other.slug}/selections").status_code == 404

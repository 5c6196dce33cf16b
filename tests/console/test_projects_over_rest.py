"""Projects over REST: created by administrators, seen by those with a role, told apart by their slug."""

from fastapi import FastAPI
from sqlalchemy.orm import Session

from app.pipeline import Scope
from tests.factories import make_person, make_project
from tests.web.clients import visitor, with_token


def test_a_project_is_created_and_read_back(session: Session, app: FastAPI) -> None:
    script = with_token(app, session, make_person(session, role="admin"), Scope.ADMIN)

    made = script.post("/api/v1/projects", json={"name": "Python helpers", "description": "d"})

    assert made.status_code == 201
    assert made.json()["slug"] == "python-helpers"
    assert "duplicate" in made.json()["reasons"]
    assert script.get(made.headers["Location"]).json() == made.json()
    assert script.post("/api/v1/projects", json={"name": "python helpers"}).status_code == 409


def test_scope_and_role_both_limit(session: Session, app: FastAPI) -> None:
    project = make_project(session)
    admin, annotator = make_person(session, role="admin"), make_person(session, project=project)

    for person, scope in ((admin, Scope.REVIEW), (admin, Scope.READ), (annotator, Scope.ADMIN)):
        script = with_token(app, session, person, scope)
        assert script.post("/api/v1/projects", json={"name": "X"}).status_code == 403
        assert script.get(f"/api/v1/projects/{project.slug}").status_code == 200


def test_a_project_of_others_does_not_exist(session: Session, app: FastAPI) -> None:
    mine, other = make_project(session), make_project(session)
    script = with_token(app, session, make_person(session, project=mine), Scope.ADMIN)

    hidden = script.get(f"/api/v1/projects/{other.slug}")
    missing = script.get("/api/v1/projects/nowhere")

    assert hidden.status_code == missing.status_code == 404
    assert hidden.json()["detail"] == f"there is no project {other.slug}"
    assert [one["slug"] for one in script.get("/api/v1/projects").json()["items"]] == [mine.slug]


def test_the_list_is_paged(session: Session, app: FastAPI) -> None:
    made = {make_project(session).slug for _ in range(5)}
    script = with_token(app, session, make_person(session, role="viewer"), Scope.READ)

    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = script.get("/api/v1/projects", params=params).json()
        seen += [one["slug"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert made <= set(seen)
    assert len(seen) == len(set(seen))
    assert script.get("/api/v1/projects?limit=501").status_code == 422
    assert script.get("/api/v1/projects?cursor=x").json()["errors"][0]["field"] == "cursor"


def test_the_reference_names_every_address(app: FastAPI) -> None:
    browser = visitor(app)
    document = browser.get("/api/v1/openapi.json").json()
    page = browser.get("/api/v1/docs").text

    assert "/api/v1/projects/{project}" in document["paths"]
    for path in document["paths"]:
        assert path in page

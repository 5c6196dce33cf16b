from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.ingestion import service
from app.settings import settings
from app.storage.tables import Person, Project, Run
from tests.factories import make_person, make_project, make_snippet
from tests.ingestion.rows import csn_row, jsonl, numbered_row

ScriptOf = Callable[[Person], TestClient]


def post(client: TestClient, project: Project, content: bytes, **form: str):
    files = {"file": ("rows.jsonl", content)}
    return client.post(f"/api/v1/projects/{project.slug}/sources", files=files, data=form)


def work(session: Session) -> None:
    """What a worker does with the newest run."""
    for _ in service.ingest(session, session.scalars(select(Run).order_by(Run.id.desc())).first() or Run()):
        session.commit()


def test_a_script_uploads_a_file_and_reads_its_snippets_and_its_ledger(session: Session, script_of: ScriptOf):
    project = make_project(session)
    client = script_of(make_person(session, "admin"))
    content = jsonl([numbered_row(1), numbered_row(2), csn_row(docstring="")]) + b"{half"

    answer = post(client, project, content, license="mit")

    assert answer.status_code == 202
    base = f"/api/v1/projects/{project.slug}"
    assert answer.headers["Location"] == f"{base}/runs/{answer.json()['id']}"
    work(session)
    source = client.get(f"{base}/sources").json()["items"][0]
    assert source["rows"] == {"added": 2, "no_comment": 1, "broken_line": 1}
    ledger = client.get(f"{base}/sources/{source['id']}/ledger").json()
    assert {(entry["rule"], entry["rows"], entry["exhibits"][0]["line"]) for entry in ledger} == {
        ("no_comment", 1, 3),
        ("broken_line", 1, 4),
    }
    assert all(entry["description"] for entry in ledger)
    first = client.get(f"{base}/snippets", params={"limit": 1}).json()
    second = client.get(f"{base}/snippets", params={"limit": 1, "cursor": first["next"]}).json()
    assert second["next"] is None
    assert "double_and_add_2" in second["items"][0]["code"]
    assert second["items"][0]["license"] == "MIT"
    assert client.get(f"{base}/snippets/{second['items'][0]['id']}").json() == second["items"][0]


@pytest.mark.parametrize(
    ("content", "form", "field"),
    [
        (b"", {}, "file"),
        (b"{}", {"format": "xml"}, "format"),
        (b"{}", {"license": "do what you like"}, "license"),
    ],
)
def test_a_refused_upload_names_its_field_and_leaves_nothing(
    session: Session, script_of: ScriptOf, content: bytes, form: dict[str, str], field: str
):
    project = make_project(session)
    before = sorted((settings().files / "uploads").glob("*"))

    answer = post(script_of(make_person(session, "admin")), project, content, **form)

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field
    assert sorted((settings().files / "uploads").glob("*")) == before
    assert session.scalars(select(Run).where(Run.project_id == project.id)).all() == []


def test_only_administrators_of_the_project_add_sources(session: Session, script_of: ScriptOf):
    project = make_project(session)

    assert post(script_of(make_person(session, "annotator")), project, b"{}").status_code == 403
    assert (
        post(script_of(make_person(session, "admin", make_project(session))), project, b"{}").status_code
        == 404
    )


def test_a_snippet_of_another_project_is_not_there(session: Session, script_of: ScriptOf):
    project = make_project(session)
    elsewhere = make_snippet(session)
    client = script_of(make_person(session, "viewer"))

    for address in (f"snippets/{elsewhere.id}", f"sources/{elsewhere.source_id}", "sources/1/ledger"):
        assert client.get(f"/api/v1/projects/{project.slug}/{address}").status_code == 404

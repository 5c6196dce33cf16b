from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.ingestion import importing
from app.storage.tables import Instance, Person, Project, Run
from tests.factories import make_person, make_project
from tests.ingestion.rows import jsonl
from tests.ingestion.sets import alpaca_row

ScriptOf = Callable[[Person], TestClient]


def post(client: TestClient, project: Project, content: bytes, **form: str):
    files = {"file": ("set.jsonl", content)}
    return client.post(f"/api/v1/projects/{project.slug}/imports", files=files, data=form)


def test_a_script_brings_a_set_and_finds_it_among_the_sources(session: Session, script_of: ScriptOf):
    project = make_project(session)
    client = script_of(make_person(session, "admin"))
    content = jsonl([alpaca_row(1), alpaca_row(1), alpaca_row(2, output="")])

    answer = post(client, project, content, format="alpaca", license="mit", task="repair", language="go")

    assert answer.status_code == 202
    started = answer.json()
    base = f"/api/v1/projects/{project.slug}"
    assert answer.headers["Location"] == f"{base}/runs/{started['id']}"
    assert (started["kind"], started["state"]) == ("import", "queued")
    for _ in importing.import_set(session, session.get_one(Run, started["id"])):
        session.commit()
    (source,) = client.get(f"{base}/sources").json()["items"]
    assert (source["id"], source["kind"], source["format"]) == (started["source_id"], "import", "alpaca")
    assert source["rows"] == {"added": 1, "duplicate": 1, "empty_text": 1}
    ledger = client.get(f"{base}/sources/{source['id']}/ledger").json()
    assert {entry["description"] for entry in ledger} == {
        "The project has an instance with the same task, instruction, information and solution.",
        "The instruction or the solution is empty.",
    }
    made = session.scalars(select(Instance).where(Instance.project_id == project.id)).one()
    assert (made.task, made.language) == ("repair", "go")


@pytest.mark.parametrize(
    ("content", "form", "field"),
    [
        (b"", {}, "file"),
        (b'{"text": "x"}', {}, "format"),
        (b"{}", {"format": "parquet"}, "format"),
        (b"{}", {"license": "do what you like"}, "license"),
        (b"{}", {"task": "poetry"}, "task"),
        (b"{}", {"language": "klingon"}, "language"),
    ],
)
def test_a_refused_set_names_its_field(
    session: Session, script_of: ScriptOf, content: bytes, form: dict[str, str], field: str
):
    answer = post(script_of(make_person(session, "admin")), make_project(session), content, **form)

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field


def test_only_administrators_bring_sets(session: Session, script_of: ScriptOf):
    project = make_project(session)

    answer = post(script_of(make_person(session, "annotator")), project, jsonl([alpaca_row()]))

    assert answer.status_code == 403

import re
from collections.abc import Callable

from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.ingestion import service
from app.storage.tables import Person, Project, Run
from tests.factories import make_person, make_project, make_snippet
from tests.ingestion.rows import csn_row, jsonl, numbered_row

BrowserOf = Callable[[Person], TestClient]


def form_token(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found[1]


def add(client: TestClient, project: Project, content: bytes, **form: str):
    page = client.get(f"/sources?project={project.slug}").text
    return client.post(
        "/sources",
        files={"file": ("<b>rows</b>.jsonl", content)} if content else None,
        data={"csrf_token": form_token(page), **form},
    )


def test_an_administrator_adds_a_source_and_sees_what_became_of_its_rows(
    session: Session, browser_of: BrowserOf
):
    project = make_project(session)
    client = browser_of(make_person(session, "admin"))
    content = jsonl([numbered_row(1), csn_row(docstring="", code="<script>alert(1)</script>")])

    added = add(client, project, content, license="MIT")

    assert added.status_code == 303
    run = session.scalars(select(Run).where(Run.project_id == project.id)).one()
    for _ in service.ingest(session, run):
        session.commit()
    page = client.get(added.headers["Location"]).text
    assert "no comment" in page
    assert "The comment has fewer than 3 words." in page
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert "<b>rows" not in page
    part = client.get(added.headers["Location"], headers={"HX-Request": "true"}).text
    assert part.lstrip().startswith('<div id="source-ledger"')
    assert (
        "double_and_add"
        in client.get("/sources/snippets?language=python&q=arithmetic&source_id=&license=").text
    )


def test_a_form_with_a_mistake_comes_back_with_it(session: Session, browser_of: BrowserOf):
    client = browser_of(make_person(session, "admin"))
    project = make_project(session)

    wrong_licence = add(client, project, b"{}", license="nearly free")
    no_file = add(client, project, b"")

    assert (wrong_licence.status_code, no_file.status_code) == (422, 422)
    assert "“nearly free” is not an SPDX licence expression" in wrong_licence.text
    assert 'value="nearly free"' in wrong_licence.text
    assert "choose a file" in no_file.text


def test_viewers_look_but_do_not_add(session: Session, browser_of: BrowserOf):
    snippet = make_snippet(session, license=None)
    project = session.get_one(Project, snippet.project_id)
    client = browser_of(make_person(session, "viewer"))

    page = client.get(f"/sources?project={project.slug}").text

    assert "Add source" not in page
    assert "unknown" in client.get(f"/sources/snippets/{snippet.id}").text
    assert client.get("/sources/snippets?q=nothing-like-this").status_code == 200
    assert client.get("/sources/snippets/999999999").status_code == 404
    assert client.get(f"/sources/{snippet.source_id}").status_code == 200

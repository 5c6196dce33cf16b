import re
from collections.abc import Callable

from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.ingestion import importing
from app.runs import pages as runs_pages
from app.storage.tables import Person, Project, Run
from tests.factories import make_person, make_project
from tests.ingestion.rows import jsonl
from tests.ingestion.sets import alpaca_row

BrowserOf = Callable[[Person], TestClient]


def bring(client: TestClient, project: Project, content: bytes, **form: str):
    page = client.get(f"/imports/new?project={project.slug}").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    return client.post(
        "/imports/new",
        files={"file": ("<b>set</b>.jsonl", content)} if content else None,
        data={"csrf_token": token[1], **form},
    )


def test_an_administrator_brings_a_set_and_is_led_to_its_audit(session: Session, browser_of: BrowserOf):
    project = make_project(session)
    client = browser_of(make_person(session, "admin"))
    client.app.include_router(runs_pages.router)  # pyright: ignore

    brought = bring(
        client, project, jsonl([alpaca_row(1), alpaca_row(2, output="<script>"), alpaca_row(3, output="")])
    )

    run = session.scalars(select(Run).where(Run.project_id == project.id)).one()
    assert (brought.status_code, brought.headers["Location"]) == (303, f"/runs/{run.id}")
    assert "/audits/new" not in client.get(f"/runs/{run.id}").text
    for _ in importing.import_set(session, run):
        session.commit()
    run.state = "completed"
    session.flush()
    page = client.get(f"/runs/{run.id}").text
    assert f'href="/audits/new?run={run.id}"' in page
    assert "2 instances are there for people to read" in page
    assert "the solution is empty" in page
    assert "<b>set" not in page
    sources = client.get("/sources").text
    assert 'data-label="Becomes">instances' in sources
    source = client.get(re.findall(r'href="(/sources/\d+)"', sources)[0]).text
    assert f'href="/audits/new?run={run.id}"' in source
    assert "The instruction or the solution is empty." in source


def test_a_form_with_a_mistake_comes_back_with_it(session: Session, browser_of: BrowserOf):
    client = browser_of(make_person(session, "admin"))
    project = make_project(session)

    unknown = bring(client, project, b'{"text": "x"}', license="MIT", language="ruby")
    no_file = bring(client, project, b"")

    assert (unknown.status_code, no_file.status_code) == (422, 422)
    assert "shows none of the formats" in unknown.text
    assert 'value="MIT"' in unknown.text
    assert '<option value="ruby" selected>' in unknown.text
    assert "choose a file" in no_file.text


def test_readers_are_not_shown_the_way_in(session: Session, browser_of: BrowserOf):
    project = make_project(session)
    client = browser_of(make_person(session, "annotator"))

    assert "/imports/new" not in client.get(f"/sources?project={project.slug}").text
    assert client.get("/imports/new").status_code == 403

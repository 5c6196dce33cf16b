from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.pipeline import RunState
from app.selection.pages import suggested_k
from app.storage.tables import Project, Run, Selection
from tests.factories import make_person, make_pick, make_project, make_snippet
from tests.web.clients import signed_in

EVERY_LANGUAGE = ["python", "ruby"]


@pytest.fixture
def admin(app: FastAPI, session: Session) -> TestClient:
    return signed_in(app, session, make_person(session, "admin"))


def at(client: TestClient, project: Project) -> str:
    """Looks at the project, as later requests then do, too."""
    page = client.get(f"/selections?project={project.slug}")
    assert page.status_code == 200
    return page.text


def drawings(page: str) -> list[ElementTree.Element]:
    parts = page.split('<svg class="chart"')[1:]
    return [
        ElementTree.fromstring('<svg class="chart"' + part.split("</svg>")[0] + "</svg>") for part in parts
    ]


def test_an_administrator_starts_a_selection_and_sees_its_picks_and_coverage(
    admin: TestClient, session: Session, project_with_code: Project, work: Callable[[], None]
):
    assert "15 snippets" in at(admin, project_with_code)

    started = admin.post("/selections", data={"k": "6", "seed": "1", "languages": EVERY_LANGUAGE})

    assert started.status_code == 303
    here = started.headers["Location"]
    selection = session.scalars(select(Selection).order_by(Selection.id.desc()).limit(1)).one()
    assert (selection.k, selection.seed, selection.languages) == (6, 1, None)
    waiting = admin.get(here).text
    assert f'href="/runs/{selection.run_id}"' in waiting
    assert 'hx-trigger="every 2s"' in waiting
    assert "Nothing is picked yet" in waiting
    work()
    page = admin.get(here).text
    assert "hx-trigger" not in page
    assert "buys the largest distance, not the mean" in page
    assert page.count('href="/sources/snippets/') == 6
    assert len(drawings(page)) == 2
    assert f'href="{here}"' in at(admin, project_with_code)


def test_a_chart_draws_both_choices_with_their_names_and_axes(
    admin: TestClient, project_with_code: Project, work: Callable[[], None]
):
    at(admin, project_with_code)
    here = admin.post("/selections", data={"k": "12", "seed": "0", "languages": EVERY_LANGUAGE}).headers[
        "Location"
    ]
    work()

    for drawing in drawings(admin.get(here).text):
        texts = [text.text or "" for text in drawing.iter("text")]
        assert {"k-center", "random", "snippets picked (logarithmic)", "distance to the nearest pick"} <= set(
            texts
        )
        assert {"1", "12", "0.0"} <= set(texts)
        lines = [line.get("points", "").split() for line in drawing.iter("polyline")]
        assert [len(line) for line in lines] == [12, 12]
        heights = [float(point.split(",")[1]) for point in lines[1]]
        assert heights == sorted(heights)  # more picks, smaller distance: the line only falls


def test_pages_of_picks_follow_each_other(
    admin: TestClient, project_with_code: Project, work: Callable[[], None]
):
    at(admin, project_with_code)
    here = admin.post("/selections", data={"k": "5", "seed": "0", "languages": EVERY_LANGUAGE}).headers[
        "Location"
    ]
    work()

    page = admin.get(f"{here}?limit=3").text
    following = page.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]

    assert admin.get(following).text.count('href="/sources/snippets/') == 2


def test_one_pick_is_shown_without_a_curve(
    admin: TestClient, project_with_code: Project, work: Callable[[], None]
):
    at(admin, project_with_code)
    here = admin.post("/selections", data={"k": "1", "seed": "0", "languages": ["ruby"]}).headers["Location"]
    work()

    page = admin.get(here)

    assert page.status_code == 200
    assert not drawings(page.text)
    assert "The numbers as a table" in page.text


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"k": "many", "seed": "0", "languages": "python"}, "k must be a whole number"),
        ({"k": "16", "seed": "0", "languages": "python"}, "only 15 snippets in python"),
        ({"k": "3", "seed": "", "languages": "python"}, "seed must be a whole number"),
        ({"k": "3", "seed": "0"}, "none is named"),
        ({"k": "3", "seed": "0", "languages": "go"}, "no snippets in go yet"),
    ],
)
def test_a_form_with_a_mistake_comes_back_with_it(
    admin: TestClient, project_with_code: Project, form: dict[str, str], message: str
):
    at(admin, project_with_code)

    answer = admin.post("/selections", data=form)

    assert answer.status_code == 422
    assert message in answer.text
    assert f'value="{form["k"]}"' in answer.text


def test_a_selection_that_failed_says_why(admin: TestClient, session: Session, project_with_code: Project):
    at(admin, project_with_code)
    here = admin.post("/selections", data={"k": "2", "seed": "0", "languages": EVERY_LANGUAGE}).headers[
        "Location"
    ]
    run = session.scalars(select(Run).order_by(Run.id.desc()).limit(1)).one()
    run.state, run.reason = RunState.FAILED, "the disk is full"

    page = admin.get(here).text

    assert "the disk is full" in page
    assert "Nothing was picked" in page


def test_names_from_the_code_are_only_text(admin: TestClient, session: Session):
    snippet = make_snippet(session, name="<script>alert(1)</script>", path="<b>bold</b>.py")
    pick = make_pick(session, snippet)
    at(admin, session.get_one(Project, snippet.project_id))

    page = admin.get(f"/selections/{pick.selection_id}").text

    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert "<b>bold" not in page


def test_viewers_look_but_do_not_select(app: FastAPI, session: Session, project_with_code: Project):
    viewer = signed_in(app, session, make_person(session, "viewer"))

    assert "Start selection" not in at(viewer, project_with_code)
    assert viewer.post("/selections", data={"k": "2", "seed": "0", "languages": "python"}).status_code == 403
    assert viewer.get(f"/selections/{make_pick(session).selection_id}").status_code == 404


def test_a_project_without_snippets_leads_to_its_sources(admin: TestClient, session: Session):
    page = at(admin, make_project(session))

    assert "No snippets to choose from yet" in page
    assert "Start selection" not in page


@pytest.mark.parametrize(
    ("snippets", "k"), [(0, 0), (30, 30), (1_500, 200), (4_812, 400), (2_000_000, 200_000)]
)
def test_a_tenth_is_suggested_but_enough_to_work_with(snippets: int, k: int):
    assert suggested_k(snippets) == k

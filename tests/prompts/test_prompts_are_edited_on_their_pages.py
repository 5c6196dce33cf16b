"""The pages below /prompts and their REST: read, edited, looked at on a real pick, compared, switched."""

from html import unescape

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.generation.prompts import template
from app.pipeline import Role, Scope, Task
from app.prompting.untrusted import HOW_TO_READ_IT
from app.storage.tables import Person, Project
from tests.factories import make_instance, make_person
from tests.web.clients import signed_in, with_token

PAGE = "/prompts/generate/repair"
SHIPPED = template(Task.REPAIR).content
EDITED = SHIPPED.replace("\n\n---", "\n\nOnly bugs that a test would find.\n\n---")


@pytest.fixture
def browser(app: FastAPI, session: Session, lead: Person) -> TestClient:
    return signed_in(app, session, lead)


@pytest.fixture
def script(app: FastAPI, session: Session, lead: Person) -> TestClient:
    return with_token(app, session, lead, Scope.ADMIN)


def save(browser: TestClient, content: str = EDITED) -> str:
    """Saves as a form does, with its line ends; returns where it leads."""
    answer = browser.post(f"{PAGE}/edit", data={"content": content.replace("\n", "\r\n"), "note": "sharper"})
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def test_the_list_names_what_is_in_force_for_every_task_and_stage(browser: TestClient) -> None:
    page = browser.get("/prompts").text

    for task in Task:
        assert f'href="/prompts/generate/{task}"' in page
        assert f'href="/prompts/judge/{task}"' in page
    assert template(Task.REPAIR).content_hash[:12] in page


def test_an_edit_is_saved_compared_put_in_force_and_taken_back(browser: TestClient) -> None:
    saved = save(browser)
    assert saved == f"{PAGE}?version=1"
    assert "Runs start with the shipped text" in browser.get(saved).text

    compared = unescape(browser.get(f"{PAGE}/compare?left=shipped&right=1").text)
    assert 'data-sign="+"' in compared
    assert "Only bugs that a test would find." in compared

    assert browser.post(f"{PAGE}/in-force", data={"version": "1"}).status_code == 303
    assert "version 1" in browser.get("/prompts").text
    assert browser.post(f"{PAGE}/in-force", data={"version": "1"}).status_code == 409
    assert browser.post(f"{PAGE}/in-force", data={"version": "shipped"}).status_code == 303
    assert "version 1</span>" not in browser.get("/prompts").text
    assert "prompt switched" in browser.get("/settings/log").text


def test_the_same_text_makes_no_second_version(browser: TestClient) -> None:
    assert save(browser) == save(browser) == f"{PAGE}?version=1"
    assert save(browser, SHIPPED) == f"{PAGE}?version=shipped"


def test_a_faulty_text_comes_back_as_typed_with_every_line_named(browser: TestClient) -> None:
    faulty = EDITED.replace("{material}", "{matter}").replace(HOW_TO_READ_IT, "")
    answer = browser.post(f"{PAGE}/edit", data={"content": faulty})
    page = unescape(answer.text)

    assert answer.status_code == 422
    assert "{matter} is no placeholder of this prompt" in page
    assert "{material} is missing" in page
    assert "the system message must say" in page
    assert "Only bugs that a test would find." in page
    assert browser.get(f"{PAGE}?version=1").status_code == 404


def test_what_was_typed_is_shown_on_a_real_pick_without_being_saved(
    browser: TestClient, session: Session, with_model: str
) -> None:
    page = unescape(browser.post(f"{PAGE}/edit", data={"content": EDITED, "do": "preview"}).text)

    assert "Only bugs that a test would find." in page
    assert "Add one to a number." in page  # the pick's comment
    assert "about" in page
    assert f"at {with_model}" in page.replace("<code>", "").replace("</code>", "")
    assert browser.get(f"{PAGE}?version=1").status_code == 404


def test_a_judges_prompt_is_shown_on_an_instance_with_the_rules_in_force(
    browser: TestClient, session: Session, project: Project
) -> None:
    page = "/prompts/judge/generation"
    assert "there is no instance yet" in browser.get(page).text.lower()
    instance = make_instance(session, text_hash="0" * 64)
    instance.project_id = project.id
    session.flush()
    shown = unescape(browser.get(page).text)

    assert instance.instruction in shown
    assert "- solution_answers: The solution resolves the instruction" in shown


def test_what_is_not_there_is_said(browser: TestClient) -> None:
    for path, status in (
        ("/prompts/generate/poetry", 422),
        ("/prompts/advise/repair", 404),
        (f"{PAGE}?version=7", 404),
        (f"{PAGE}?version=newest", 422),
        (f"{PAGE}?subject=123456", 404),
        (f"{PAGE}/tries/12", 404),
        (f"{PAGE}/tries/99999999999999999999", 404),
        (f"{PAGE}/compare?left=0x1", 422),
    ):
        assert browser.get(path).status_code == status, path


def test_readers_look_and_only_leads_edit(app: FastAPI, session: Session, project: Project) -> None:
    reader = signed_in(app, session, make_person(session, Role.VIEWER, project))

    assert reader.get(PAGE).status_code == 200
    assert f"{PAGE}/edit" not in reader.get(PAGE).text
    for path in ("edit", "try"):
        assert reader.get(f"{PAGE}/{path}").status_code == 403
        assert reader.post(f"{PAGE}/{path}", data={"version": "1", "content": EDITED}).status_code == 403
    assert reader.post(f"{PAGE}/in-force", data={"version": "1"}).status_code == 403


def test_scripts_read_save_and_switch(script: TestClient, project: Project) -> None:
    path = f"/api/v1/projects/{project.slug}/prompts"
    assert len(script.get(path).json()) == 2 * len(Task)
    saved = script.post(f"{path}/generate/repair/versions", json={"content": EDITED, "note": "sharper"})
    assert (saved.status_code, saved.json()["version"], saved.json()["in_force"]) == (201, 1, False)
    assert script.get(f"{path}/generate/repair").json()["version"] is None

    switched = script.post(f"{path}/generate/repair/in-force", json={"version": 1})
    assert switched.json()["in_force"] is True
    assert script.get(f"{path}/generate/repair").json()["content"] == EDITED
    [version] = script.get(f"{path}/generate/repair/versions").json()
    assert (version["note"], version["in_force"]) == ("sharper", True)
    assert script.post(f"{path}/generate/repair/in-force", json={"version": None}).json()["version"] is None


def test_scripts_are_told_what_is_wrong(script: TestClient, project: Project) -> None:
    path = f"/api/v1/projects/{project.slug}/prompts/generate/repair/versions"
    for content, words in (
        ("", "a line --- is missing"),
        (f"{EDITED}{{x}}", "{x} is no placeholder"),
        ("x" * 20_001, "at most 20,000"),
    ):
        answer = script.post(path, json={"content": content})
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
        assert [one["field"] for one in answer.json()["errors"]] == ["content"]

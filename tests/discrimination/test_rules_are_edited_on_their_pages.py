"""The pages below /rules and their REST: read, edited, added, ordered, tried, retired, compared, switched."""

from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.discrimination import service
from app.discrimination.rubric import rules_hash, rules_of
from app.pipeline import Role, Scope, Task
from app.storage.tables import Evidence, Person, Project
from tests.factories import make_instance, make_person, make_pick, make_project, make_snippet
from tests.web.clients import application_on, signed_in, with_token

EDIT = {
    "text": "Anybody can follow the logic.",
    "tasks": ["generation", "repair"],
    "counts": "required",
    "checked_by": "model",
    "note": "stricter",
}


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def lead(session: Session, project: Project) -> Person:
    return make_person(session, "admin", project)


@pytest.fixture
def app(session: Session) -> FastAPI:
    return application_on(session)


@pytest.fixture
def browser(app: FastAPI, session: Session, lead: Person) -> TestClient:
    return signed_in(app, session, lead)


def led_to(browser: TestClient, path: str, **form: Any) -> str:
    answer = browser.post(path, data=form)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def in_force(session: Session, project: Project) -> service.Shown:
    session.expire_all()
    return service.rules_in_force(session, project)


def test_the_rules_are_shown_with_their_hash(app: FastAPI, session: Session, project: Project) -> None:
    reader = signed_in(app, session, make_person(session, Role.VIEWER, project))
    for task in Task:
        page = reader.get(f"/rules?task={task}").text
        assert rules_hash(task) in page
        assert all(rule.rule in page for rule in rules_of(task))
    assert reader.get("/rules?task=poetry").status_code == 422
    assert reader.get("/rules/readable").status_code == 200
    assert reader.get("/rules/unheard_of").status_code == 404
    for path in ("/rules/readable", "/rules/new", "/rules/readable/retired", "/rules/in-force"):
        assert reader.post(path, data=EDIT | {"version": "shipped"}).status_code == 403


def test_an_edit_waits_until_it_is_put_in_force_and_can_be_taken_back(
    browser: TestClient, session: Session, project: Project
) -> None:
    page = led_to(browser, "/rules/readable?version=shipped", **EDIT)
    assert page == "/rules?task=generation&version=1"
    assert in_force(session, project).version is None
    assert "Runs start with the shipped rules" in browser.get(page).text
    compared = unescape(browser.get("/rules/compare?left=shipped&right=1").text)
    assert "Anybody" in compared
    assert 'data-sign="-"' in compared

    led_to(browser, "/rules/in-force", version="1", task="repair")
    edited = next(one.rule for one in in_force(session, project).book if one.rule.rule == "readable")
    assert (edited.text, edited.required, edited.version) == (EDIT["text"], True, 2)
    assert edited.tasks == (Task.GENERATION, Task.REPAIR)

    led_to(browser, "/rules/in-force", version="shipped")
    assert in_force(session, project).version is None
    log = browser.get("/settings/log").text
    assert "rules saved" in log
    assert "rules switched" in log


def test_rules_are_added_ordered_and_retired_one_version_after_the_other(
    browser: TestClient, session: Session, project: Project
) -> None:
    led_to(browser, "/rules/new?version=shipped", rule="idiomatic", language="python", **EDIT)
    led_to(browser, "/rules/idiomatic/place", version="1", task="repair", step="-1")
    led_to(browser, "/rules/real_bug/retired", version="2", task="repair")
    page = led_to(browser, "/rules/in-force", version="3", task="repair")
    names = [rule.rule for rule in rules_of(Task.REPAIR) if rule.rule != "real_bug"]
    book = in_force(session, project).book

    assert [one.rule.rule for one in book if Task.REPAIR in one.rule.tasks and not one.retired] == [
        *names[:-1],
        "idiomatic",
        names[-1],
    ]
    shown = browser.get(page).text
    assert "only Python" in shown
    assert "take back" in shown
    assert led_to(browser, "/rules/real_bug/retired", version="3", task="repair", retired="false").endswith(
        "version=2"
    )


@pytest.mark.parametrize(
    ("path", "change", "words"),
    [
        ("/rules/new", {"rule": "readable"}, "there is a rule readable already"),
        ("/rules/new", {"rule": "No Name"}, "small letters"),
        ("/rules/readable", {"text": " "}, "1 to 600 characters"),
        ("/rules/readable", {"tasks": []}, "it is about no task"),
        ("/rules/readable", {"checked_by": "machine", "check": "pares"}, "did you mean parses?"),
    ],
)
def test_a_wrong_field_comes_back_with_what_is_wrong(
    browser: TestClient, session: Session, project: Project, path: str, change: dict[str, Any], words: str
) -> None:
    answer = browser.post(path, data=EDIT | change)

    assert answer.status_code == 422
    assert words in unescape(answer.text)
    assert service.versions(session, project) == []


def test_a_rule_is_tried_on_an_instance_by_what_the_machine_finds(
    browser: TestClient, session: Session, project: Project
) -> None:
    instance = make_instance(session, make_pick(session, make_snippet(session, project)))
    session.add(
        Evidence(
            instance_id=instance.id, revision=0, kind="names_resolve", result="fail", detail="nowhere: frob"
        )
    )
    session.flush()
    for rule, words in (
        ("imports_present", "nowhere: frob"),
        ("short_instruction", "1 sentence"),
        ("solution_answers", "needs a model"),
    ):
        page = browser.get(f"/rules/{rule}?version=shipped&instance={instance.id}").text
        assert words in page, rule
    assert (
        "The rule is not asked about this instance"
        in browser.get(f"/rules/summary_true?instance={instance.id}").text
    )
    instance.language = "other"  # as an import may have it
    session.flush()
    assert "its language is not known" in browser.get(f"/rules/language_named?instance={instance.id}").text
    elsewhere = make_instance(session)
    assert "there is no instance" in browser.get(f"/rules/readable?instance={elsewhere.id}").text


def test_scripts_read_save_and_switch(app: FastAPI, session: Session, project: Project, lead: Person) -> None:
    script = with_token(app, session, lead, Scope.ADMIN)
    path = f"/api/v1/projects/{project.slug}/rules"
    shipped = script.get(path).json()
    assert (shipped["version"], shipped["in_force"]) == (None, True)
    assert shipped["hashes"]["repair"] == rules_hash(Task.REPAIR)

    shipped["rules"][-1]["required"] = True
    saved = script.post(f"{path}/versions", json={"rules": shipped["rules"], "note": "stricter"})
    assert (saved.status_code, saved.json()["version"], saved.json()["in_force"]) == (201, 1, False)
    assert saved.json()["rules"][-1]["version"] == 2
    assert script.get(path).json()["version"] is None

    assert script.post(f"{path}/in-force", json={"version": 1}).json()["in_force"] is True
    assert script.get(path).json()["version"] == 1
    assert [one["note"] for one in script.get(f"{path}/versions").json()] == ["stricter"]
    assert script.post(f"{path}/in-force", json={"version": 1}).status_code == 409
    assert script.post(f"{path}/in-force", json={"version": 2}).status_code == 404
    shipped["rules"][0]["checked_by"] = "nobody"
    assert script.post(f"{path}/versions", json={"rules": shipped["rules"]}).status_code == 422
    reader = with_token(app, session, lead, Scope.READ)
    assert reader.get(path).status_code == 200
    assert reader.post(f"{path}/in-force", json={"version": None}).status_code == 403

"""From the sign-in page to the first page, through the forced change of password."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy.orm import Session

from app.accounts.service import add_person, take_role
from app.accounts.throttle import PER_NAME_AND_ADDRESS
from app.pipeline import Role
from app.storage.tables import Person
from tests.factories import make_person, make_project
from tests.web.clients import PASSWORD, PASSWORD_HASH, csrf_token_in, signed_in, visitor


@pytest.fixture
def person(session: Session) -> Person:
    make_project(session)
    return make_person(session, password_hash=PASSWORD_HASH)


def sign_in(browser: TestClient, name: str, password: str, to: str = "/settings") -> Response:
    token = csrf_token_in(browser.get("/signin"))
    form = {"name": name, "password": password, "next": to, "csrf_token": token}
    return browser.post("/signin", data=form)


def test_signing_in_leads_back_to_the_page_that_was_asked_for(app: FastAPI, person: Person) -> None:
    browser = visitor(app)

    answer = sign_in(browser, person.name, PASSWORD, "/settings?project=x")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/settings?project=x")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert browser.get("/settings").status_code == 200


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "x"])
def test_a_link_to_sign_in_cannot_lead_elsewhere(app: FastAPI, person: Person, elsewhere: str) -> None:
    assert sign_in(visitor(app), person.name, PASSWORD, elsewhere).headers["Location"] == "/"


def test_a_wrong_password_keeps_the_name_and_says_nothing_more(app: FastAPI, person: Person) -> None:
    answer = sign_in(visitor(app), person.name, "wrong")

    assert answer.status_code == 422
    assert "The name or the password is wrong." in answer.text
    assert f'value="{person.name}"' in answer.text


def test_too_many_attempts_say_when_to_come_back(app: FastAPI, person: Person) -> None:
    browser = visitor(app)
    answers = [sign_in(browser, person.name, "wrong") for _ in range(PER_NAME_AND_ADDRESS.amount + 1)]

    assert [answer.status_code for answer in answers] == [422] * PER_NAME_AND_ADDRESS.amount + [429]
    assert "wait up to 15 minutes" in answers[-1].text
    assert answers[-1].headers["Retry-After"] == "900"


def test_a_one_time_password_opens_only_the_page_that_replaces_it(session: Session, app: FastAPI) -> None:
    make_project(session)
    added = add_person(session, None, "newcomer", Role.ADMIN)
    assert added.one_time is not None
    browser = visitor(app)

    assert sign_in(browser, "newcomer", added.one_time).headers["Location"] == "/password?next=/settings"
    assert browser.get("/settings").headers["Location"].startswith("/password")
    assert browser.get("/api/v1/projects").status_code == 401

    form = {"csrf_token": csrf_token_in(browser.get("/password")), "next": "/settings"}
    differing = browser.post("/password", data=form | {"password": PASSWORD, "again": "other"})
    short = browser.post("/password", data=form | {"password": "short", "again": "short"})
    assert (differing.status_code, short.status_code) == (422, 422)
    assert "the two are not the same" in differing.text
    assert "at least 10 characters" in short.text

    done = browser.post("/password", data=form | {"password": PASSWORD, "again": PASSWORD})
    assert done.headers["Location"] == "/settings"
    page = browser.get("/settings")
    assert page.status_code == 200
    assert "Your password is changed" in page.text
    assert "Your password is changed" not in browser.get("/settings").text


def test_signing_out_ends_the_session_on_the_server(session: Session, app: FastAPI, person: Person) -> None:
    browser = signed_in(app, session, person)
    cookies = dict(browser.cookies)

    assert browser.post("/signout").headers["Location"] == "/signin"

    kept = visitor(app)
    kept.cookies.update(cookies)
    assert kept.get("/settings").status_code == 303


def test_the_colours_are_remembered(session: Session, app: FastAPI, person: Person) -> None:
    browser = signed_in(app, session, person)

    browser.post("/theme", data={"theme": "dark", "back": "/settings"})

    assert 'data-theme="dark"' in browser.get("/settings").text
    assert browser.post("/theme", data={"theme": "pink"}).status_code == 422


def test_the_project_looked_at_last_is_shown_again(session: Session, app: FastAPI) -> None:
    first, second = make_project(session, name="A first"), make_project(session, name="B second")
    browser = signed_in(app, session, make_person(session, role="viewer"))

    assert first.name in browser.get("/settings").text
    browser.get("/settings", params={"project": second.slug})
    assert f'value="{second.name}"' in browser.get("/settings").text
    assert browser.get("/settings", params={"project": "secret"}).status_code == 404


def test_somebody_without_a_project_is_told_what_to_do(session: Session, app: FastAPI) -> None:
    make_project(session)
    person = make_person(session)
    take_role(session, None, person.id)

    answer = signed_in(app, session, person).get("/settings")

    assert answer.status_code == 404
    assert "There is no project here yet" in answer.text

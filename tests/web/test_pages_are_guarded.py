"""What holds for every page there is or will be: who may open it, from where it may be changed, what it may load."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session

from app.main import APIS, PAGES, health
from app.pipeline import Scope
from app.web.csrf import demand_anonymous_token
from app.web.dependencies import api_caller, checked_sign_in
from app.web.headers import CONTENT_SECURITY_POLICY
from app.web.templating import TEMPLATES
from tests.factories import make_person, make_project
from tests.web.clients import csrf_token_in, signed_in, visitor, with_token

ENDLESS = {"/api/v1/events"}
SANITISED = {"_guideline.html"}  # shows HTML that `guideline_html` cleaned
OPEN = {"/signin", "/healthz", "/readyz", "/metrics", "/api/v1/docs"}


def routes() -> list[APIRoute]:
    routers = (*(part.router for part in (*PAGES, *APIS)), health)
    return [route for router in routers for route in router.routes if isinstance(route, APIRoute)]


def asked_of(route: APIRoute) -> set[object]:
    """Every dependency of a route, however deep."""
    found: set[object] = set()
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        found.add(dependant.call)
        waiting += dependant.dependencies
    return found


def test_every_route_asks_who_is_there() -> None:
    unguarded = {
        route.path for route in routes() if not asked_of(route) & {checked_sign_in, api_caller}
    } - OPEN

    assert unguarded == set()


def test_every_form_carries_a_token() -> None:
    forms = [route for route in routes() if route.methods - {"GET", "HEAD"} and "/api/" not in route.path]

    assert forms
    for route in forms:
        assert asked_of(route) & {checked_sign_in, demand_anonymous_token}, route.path


def test_a_form_without_its_token_changes_nothing_and_says_what_to_do(session: Session, app: FastAPI) -> None:
    make_project(session)
    browser = signed_in(app, session, make_person(session, role="admin"))
    token = browser.headers.pop("X-CSRF-Token")

    for sent in ({}, {"csrf_token": "guessed"}, {"csrf_token": "é"}):
        refused = browser.post("/settings/projects", data={"name": "X", **sent})
        assert refused.status_code == 403
        assert "reload the page" in refused.text

    assert browser.post("/settings/projects", data={"name": "X", "csrf_token": token}).status_code == 303


def test_the_sign_in_form_of_another_site_is_refused(app: FastAPI) -> None:
    browser = visitor(app)
    token = csrf_token_in(browser.get("/signin"))

    assert browser.post("/signin", data={"name": "x", "csrf_token": token}).status_code == 422
    assert visitor(app).post("/signin", data={"name": "x", "csrf_token": token}).status_code == 403


def test_every_answer_carries_the_policy(session: Session, app: FastAPI) -> None:
    make_project(session)
    browser = signed_in(app, session, make_person(session, role="admin"))
    pages = sorted({route.path for route in routes() if "GET" in route.methods and "{" not in route.path})

    for path in [*set(pages) - ENDLESS, "/nowhere", "/static/app.css", "/static/nothing.css"]:
        answer = browser.get(path)
        assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY, path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.status_code not in (500, 422), path


@pytest.mark.parametrize("template", sorted(TEMPLATES.rglob("*.html")), ids=lambda file: file.name)
def test_no_template_needs_what_the_policy_forbids(template: Path) -> None:
    source = template.read_text()
    html = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", source, flags=re.DOTALL)

    assert not re.search(r"\sstyle\s*=", html)
    assert not re.search(r"\son\w+\s*=", html)
    assert not re.search(r"<script(?![^>]*\ssrc=)", html)
    assert "<style" not in html
    assert "hx-on" not in html
    assert "js:" not in html
    if template.name not in SANITISED:
        assert "|safe" not in source.replace(" ", "")


def test_a_page_sends_strangers_to_sign_in_and_back(app: FastAPI) -> None:
    page = visitor(app).get("/settings/people?a=b")
    fragment = visitor(app).get(
        "/settings/people", headers={"HX-Request": "true", "HX-Current-URL": "http://x/settings?c=d"}
    )

    assert page.headers["Location"] == "/signin?next=/settings/people%3Fa%3Db"
    assert fragment.headers["HX-Redirect"] == "/signin?next=/settings%3Fc%3Dd"


def test_a_browser_may_read_the_api_but_not_change_through_it(session: Session, app: FastAPI) -> None:
    make_project(session)
    admin = make_person(session, role="admin")
    browser = signed_in(app, session, admin)

    assert browser.get("/api/v1/projects").status_code == 200
    assert browser.post("/api/v1/projects", json={"name": "X"}).status_code == 401
    assert (
        with_token(app, session, admin, Scope.REVIEW).post("/api/v1/projects", json={"name": "X"}).status_code
        == 403
    )


def test_static_files_with_their_hash_are_kept_for_good(app: FastAPI) -> None:
    page = visitor(app).get("/signin").text
    address = re.search(r'href="(/static/app.css\?v=\w+)"', page)
    assert address is not None

    assert "immutable" in visitor(app).get(address[1]).headers["Cache-Control"]
    assert visitor(app).get("/static/app.css").headers["Cache-Control"] == "no-cache"

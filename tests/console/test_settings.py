"""The settings pages: who may change what, what is shown once, and that bad input keeps what was typed."""

import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.service import person_named
from app.accounts.tokens import caller_of_token
from app.console.defaults import slug_of
from app.console.service import create_project
from app.errors import Conflict, InvalidInput
from app.storage.tables import Guideline, LogEntry, Price, Project, RateLimit
from tests.factories import make_person
from tests.web.clients import signed_in


@pytest.fixture
def project(session: Session) -> Project:
    return create_project(session, None, "Python helpers")


@pytest.fixture
def admin(session: Session, app: FastAPI, project: Project) -> TestClient:
    return signed_in(app, session, make_person(session, role="admin"))


def actions(session: Session) -> list[str]:
    return list(session.scalars(select(LogEntry.action).order_by(LogEntry.id)))


CHANGES = [
    ("/settings", {"name": "X", "reasons": "one"}),
    ("/settings/guideline", {"markdown": "# Other"}),
    ("/settings/projects", {"name": "X"}),
    ("/settings/people", {"name": "x"}),
    ("/settings/people/1/deactivate", {}),
    ("/settings/models/prices", {"model": "m", "input_usd": "1", "output_usd": "1"}),
    ("/settings/models/limits", {"limited_model": "m", "requests_per_minute": "1"}),
]


@pytest.mark.parametrize("role", ["viewer", "annotator"])
def test_only_administrators_change_settings(
    session: Session, app: FastAPI, project: Project, role: str
) -> None:
    browser = signed_in(app, session, make_person(session, role=role))
    before = actions(session)

    assert [browser.post(path, data=form).status_code for path, form in CHANGES] == [403] * len(CHANGES)
    assert browser.get("/settings/people").status_code == 403
    assert browser.get("/settings/log").status_code == 403
    assert actions(session) == before


def test_an_administrator_of_one_project_changes_that_one_alone(
    session: Session, app: FastAPI, project: Project
) -> None:
    browser = signed_in(app, session, make_person(session, role="admin", project=project))

    assert [browser.post(path, data=form).status_code for path, form in CHANGES] == [303, 303] + [403] * 5
    assert browser.get("/settings/log").status_code == 200


def test_a_project_is_changed_and_the_log_says_from_what_to_what(
    session: Session, admin: TestClient, project: Project
) -> None:
    form = {"name": "Helpers", "reasons": "wrong\n\n dull \nwrong", "allowed_licenses": "MIT Apache-2.0"}

    assert admin.post("/settings", data=form).status_code == 303

    session.refresh(project)
    assert (project.name, project.slug) == ("Helpers", "python-helpers")
    assert project.reasons == ["wrong", "dull"]
    assert project.allowed_licenses == ["MIT", "Apache-2.0"]
    entry = session.scalars(select(LogEntry).where(LogEntry.action == "project changed")).one()
    assert entry.detail["name"] == {"from": "Python helpers", "to": "Helpers"}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"name": ""}, "1 to 100 characters"),
        ({"reasons": " \n"}, "give 1 to 20 reasons"),
        ({"allowed_licenses": "MIT Nonsense-9"}, "not SPDX identifiers: Nonsense-9"),
    ],
)
def test_a_bad_value_is_told_at_its_field_and_nothing_is_lost(
    session: Session, admin: TestClient, project: Project, bad: dict[str, str], said: str
) -> None:
    form = {"name": "Helpers", "description": "typed with care", "reasons": "one"} | bad

    answer = admin.post("/settings", data=form)

    assert answer.status_code == 422
    assert said in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "typed with care" in answer.text
    session.refresh(project)
    assert project.name == "Python helpers"


def test_each_save_of_the_guideline_is_a_version_and_the_same_text_none(
    session: Session, admin: TestClient, project: Project
) -> None:
    for markdown in ("# Other", "# Other\r\n", "# Third"):
        admin.post("/settings/guideline", data={"markdown": markdown})

    versions = session.scalars(
        select(Guideline.version).where(Guideline.project_id == project.id).order_by(Guideline.version)
    ).all()
    assert list(versions) == [1, 2, 3]
    assert "# Other" in admin.get("/settings/guideline?version=2").text
    assert admin.get("/settings/guideline?version=9").status_code == 404
    assert admin.post("/settings/guideline", data={"markdown": " "}).status_code == 422


def test_a_person_is_added_with_a_password_that_is_shown_once(session: Session, admin: TestClient) -> None:
    form = {"name": "lin", "role": "annotator", "where": "python-helpers"}

    page = admin.post("/settings/people", data=form)

    assert re.search(r'<code id="secret">(\w{4}-){3}\w{4}</code>', page.text)
    assert 'id="secret"' not in admin.get("/settings/people").text
    assert admin.post("/settings/people", data=form).status_code == 409
    assert admin.post("/settings/people", data=form | {"name": "a b"}).status_code == 422
    assert admin.post("/settings/people", data=form | {"role": "king"}).status_code == 422


def test_a_person_is_managed_on_their_page(session: Session, admin: TestClient) -> None:
    admin.post("/settings/people", data={"name": "lin", "role": "viewer"})
    person = person_named(session, "lin")
    assert person is not None
    page = f"/settings/people/{person.id}"

    for step, form in (
        ("roles", {"role": "annotator", "where": "python-helpers"}),
        ("roles/remove", {"where": ""}),
        ("deactivate", {}),
        ("reactivate", {}),
    ):
        assert admin.post(f"{page}/{step}", data=form).status_code == 303
    assert 'id="secret"' in admin.post(f"{page}/password").text
    assert admin.get(page).status_code == 200
    assert admin.get("/settings/people/999999").status_code == 404


def test_the_last_administrator_is_told_why_not(session: Session, admin: TestClient) -> None:
    person = person_named(session, admin.get("/api/v1/me").json()["name"])
    assert person is not None

    answer = admin.post(f"/settings/people/{person.id}/deactivate")

    assert answer.status_code == 409
    assert "is the last administrator; make somebody else one first" in answer.text


def test_a_token_is_shown_once_and_can_be_revoked(session: Session, admin: TestClient) -> None:
    page = admin.post("/settings/tokens", data={"name": "nightly", "scope": "read"})

    found = re.search(r'<code id="secret">(bw_[\w-]+)</code>', page.text)
    assert found is not None
    assert caller_of_token(session, found[1]) is not None
    revoke = re.search(r"/settings/tokens/\d+/revoke", admin.get("/settings/tokens").text)
    assert revoke is not None
    assert admin.post(revoke[0]).status_code == 303
    assert caller_of_token(session, found[1]) is None
    assert admin.post("/settings/tokens", data={"name": " ", "scope": "read"}).status_code == 422


def test_others_tokens_are_neither_seen_nor_revoked(
    session: Session, app: FastAPI, admin: TestClient
) -> None:
    revoke = re.search(
        r"/settings/tokens/\d+/revoke",
        admin.post("/settings/tokens", data={"name": "nightly", "scope": "read"}).text,
    )
    assert revoke is not None
    other = signed_in(app, session, make_person(session))

    assert "nightly</th>" not in other.get("/settings/tokens").text
    assert other.post(revoke[0]).status_code == 404


def test_a_price_is_kept_in_micro_dollars(session: Session, admin: TestClient) -> None:
    form = {"model": "small", "input_usd": "0.15", "output_usd": "0.60"}

    assert admin.post("/settings/models/prices", data=form).status_code == 303
    price = session.get(Price, "small")
    assert price is not None
    assert (price.input_micro, price.output_micro) == (150_000, 600_000)
    for bad in ("free", "-1", "NaN", "1e99", ""):
        assert admin.post("/settings/models/prices", data=form | {"input_usd": bad}).status_code == 422
    assert admin.post("/settings/models/prices/remove", data={"model": "small"}).status_code == 303
    assert admin.post("/settings/models/prices/remove", data={"model": "small"}).status_code == 404


def test_limits_of_a_model_are_whole_numbers_and_may_be_half_known(
    session: Session, admin: TestClient
) -> None:
    form = {"limited_model": "small", "requests_per_minute": "1200", "tokens_per_minute": ""}

    assert admin.post("/settings/models/limits", data=form).status_code == 303
    limit = session.get(RateLimit, "small")
    assert limit is not None
    assert (limit.requests_per_minute, limit.tokens_per_minute) == (1200, None)
    assert "1,200" in admin.get("/settings/models").text
    for bad in ("many", "-1", "0.5", "1e99", ""):
        assert (
            admin.post("/settings/models/limits", data=form | {"requests_per_minute": bad}).status_code == 422
        )
    assert admin.post("/settings/models/limits/remove", data={"model": "small"}).status_code == 303
    assert admin.post("/settings/models/limits/remove", data={"model": "small"}).status_code == 404


def test_the_log_is_read_page_by_page(session: Session, admin: TestClient, project: Project) -> None:
    for number in range(5):
        admin.post("/settings/guideline", data={"markdown": f"# {number}"})

    first = admin.get("/settings/log?limit=3").text
    address = re.search(r'href="(/settings/log\?cursor=[^"]+)"', first)
    assert address is not None
    assert first.count("guideline saved") == 3
    assert admin.get(address[1]).text.count("guideline saved") == 2
    assert admin.get("/settings/log?cursor=made-up").status_code == 422


def test_a_slug_is_made_from_the_name_and_is_unique(session: Session) -> None:
    assert slug_of(" Café für  Python! ") == "cafe-fur-python"
    create_project(session, None, "Café")
    with pytest.raises(Conflict, match="already a project cafe"):
        create_project(session, None, "cafe")
    with pytest.raises(InvalidInput, match="at least one letter"):
        create_project(session, None, "数据")

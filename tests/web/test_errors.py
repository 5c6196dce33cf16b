"""How refusals are told: problem+json to scripts, pages and messages to people; no 500 tells secrets."""

import asyncio
import json
from typing import Annotated

import pytest
from fastapi import FastAPI, Form
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException

from app.accounts.log import log
from app.errors import Conflict, InvalidInput, TooManyAttempts
from app.pipeline import Scope
from app.web.dependencies import CurrentPerson, DbSession
from app.web.errors import MOST_FIELDS, NO_SUCH_PAGE
from app.web.json_body import MOST_MARKS, MOST_VALUES, JsonRequest
from tests.factories import make_person, make_project
from tests.web.clients import signed_in, visitor, with_token

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    """With routes that fail in each way."""

    @app.get("/api/v1/conflict")
    @app.get("/conflict")
    def conflict() -> None:
        raise Conflict("instance 7 is already decided")

    @app.get("/api/v1/invalid")
    def invalid() -> None:
        raise InvalidInput("k must be smaller than n", "k")

    @app.get("/api/v1/throttled")
    def throttled() -> None:
        raise TooManyAttempts("later", retry_after=60)

    @app.get("/api/v1/broken")
    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("password=hunter2")

    @app.get("/api/v1/stored")
    def stored(session: DbSession, value: str) -> None:
        session.execute(text("SELECT CAST(:value AS text)"), {"value": value})

    @app.post("/changes")
    def changes(session: DbSession, person: CurrentPerson, then: Annotated[str, Form()]) -> None:
        log(session, person.id, "changed", then)
        session.flush()
        if then == "fail":
            raise Conflict("no")

    return app


@pytest.mark.parametrize(
    ("path", "status", "title", "fields"),
    [
        ("/api/v1/conflict", 409, "Conflict", None),
        (
            "/api/v1/invalid",
            422,
            "Unprocessable Entity",
            [{"field": "k", "detail": "k must be smaller than n"}],
        ),
        ("/api/v1/throttled", 429, "Too Many Requests", None),
        ("/api/v1/nowhere", 404, "Not Found", None),
        ("/api/v1/projects", 401, "Unauthorized", None),
    ],
)
def test_a_script_gets_problem_json(
    app: FastAPI, path: str, status: int, title: str, fields: list[dict[str, str]] | None
) -> None:
    answer = visitor(app).get(path)

    problem = answer.json()
    assert answer.status_code == problem["status"] == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (problem["type"], problem["title"], problem["instance"]) == ("about:blank", title, path)
    assert problem["detail"]
    assert problem.get("errors") == fields


def test_a_refusal_says_when_to_come_back_and_how_to_sign_in(app: FastAPI) -> None:
    assert visitor(app).get("/api/v1/throttled").headers["Retry-After"] == "60"
    assert visitor(app).get("/api/v1/projects").headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"description": "x"}, "name"),
        ({"name": 7}, "name"),
        ("no object", "body"),
        (b"{half", "body"),
    ],
)
def test_an_invalid_body_names_the_field(session: Session, app: FastAPI, body: object, field: str) -> None:
    script = with_token(app, session, make_person(session, role="admin"), Scope.ADMIN)

    answer = (
        script.post("/api/v1/projects", content=body, headers={"Content-Type": "application/json"})
        if isinstance(body, bytes)
        else script.post("/api/v1/projects", json=body)
    )

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_what_postgres_cannot_keep_is_the_callers_error(app: FastAPI) -> None:
    for value in ("a\0b", "\ud800".encode("utf-8", "surrogatepass")):
        answer = visitor(app).get("/api/v1/stored", params={"value": value})
        assert answer.status_code in (200, 422)
    assert visitor(app).get("/api/v1/stored", params={"value": "a\0b"}).status_code == 422


@pytest.mark.parametrize("path", ["/api/v1/broken", "/broken"])
def test_a_fault_is_logged_under_a_number_and_not_told(
    app: FastAPI, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = visitor(app).get(path, headers={"X-Request-Id": "request-7"})

    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "request-7" in answer.text
    logged = capsys.readouterr()
    assert "hunter2" in logged.out + logged.err
    assert "Content-Security-Policy" in answer.headers


def test_a_person_gets_a_page_and_htmx_a_message_that_leaves_the_page_as_it_is(app: FastAPI) -> None:
    page = visitor(app).get("/conflict")
    message = visitor(app).get("/conflict", headers={"HX-Request": "true"})

    assert (page.status_code, message.status_code) == (409, 409)
    assert "instance 7 is already decided" in page.text
    assert "</html>" in page.text
    assert "</html>" not in message.text
    assert message.headers["HX-Retarget"] == "#messages"
    assert NO_SUCH_PAGE in visitor(app).get("/nowhere").text


def test_a_refused_request_changes_nothing(session: Session, app: FastAPI) -> None:
    make_project(session)
    person = make_person(session, role="admin")
    browser = signed_in(app, session, person)

    assert browser.post("/changes", data={"then": "succeed"}).status_code == 200
    assert browser.post("/changes", data={"then": "fail"}).status_code == 409

    done = session.execute(text("SELECT subject FROM log_entry WHERE action = 'changed'")).scalars().all()
    assert done == ["succeed"]


def test_a_body_beyond_the_limit_is_refused_by_its_announced_length(app: FastAPI) -> None:
    announced = visitor(app).post("/api/v1/projects", content=b" " * 2**20 * 11)

    assert announced.status_code == 413
    assert announced.headers["Content-Type"] == "application/problem+json"


def test_a_refusal_tells_the_first_of_many_wrong_fields_and_little_of_each(
    session: Session, app: FastAPI
) -> None:
    script = with_token(app, session, make_person(session, role="admin"), Scope.ADMIN)
    wanted = {"long" * 200: 1, **{f"unknown{number}": number for number in range(2_000)}}

    answer = script.post(
        f"/api/v1/projects/{make_project(session).slug}/audits", content=json.dumps(wanted), headers=JSON
    )

    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == MOST_FIELDS
    assert "more" in answer.json()["detail"]
    assert len(answer.content) < 20_000


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({f"key{number}": number for number in range(MOST_VALUES)}),
        json.dumps({"name": [[]] * MOST_VALUES}),
        '{"name": ' + "[" * 60 + "]" * 60 + "}",
        "[" * 100_000,
        '{"name": ' + "9" * 5_000 + "}",
        '{"name": "' + "," * MOST_MARKS + '"}',
    ],
    ids=["many keys", "many values", "deep", "too deep to read", "a huge number", "many marks"],
)
def test_json_that_would_take_long_is_refused_before_it_is_checked(
    session: Session, app: FastAPI, body: str
) -> None:
    request = JsonRequest({"type": "http", "headers": []})
    request._body = body.encode()  # pyright: ignore[reportPrivateUsage] - as Starlette keeps what it has read

    with pytest.raises((HTTPException, ValueError, RecursionError)):
        asyncio.run(request.json())


def test_half_characters_come_back_as_question_marks(app: FastAPI) -> None:
    @app.get("/api/v1/half")
    @app.get("/half")
    def half() -> None:
        raise InvalidInput("there is no \ud800", "\udfff")

    assert visitor(app).get("/api/v1/half").json()["detail"] == "there is no ?"
    assert visitor(app).get("/half").status_code == 422

"""A POST under an Idempotency-Key is done once, whatever the network does."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from app.pipeline import Scope
from app.storage.tables import IdempotencyKey, Person, Project
from app.web.idempotency import lock_of
from tests.factories import make_person
from tests.web.clients import with_token

KEY = {"Idempotency-Key": "order 7"}


@pytest.fixture
def script(session: Session, app: FastAPI) -> TestClient:
    return with_token(app, session, make_person(session, role="admin"), Scope.ADMIN)


def projects(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Project)) or 0


def test_the_same_again_gets_the_kept_answer(session: Session, script: TestClient) -> None:
    first = script.post("/api/v1/projects", json={"name": "One"}, headers=KEY)
    again = script.post("/api/v1/projects", json={"name": "One"}, headers=KEY)

    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert again.headers["Location"] == first.headers["Location"] == "/api/v1/projects/one"
    assert again.headers["Idempotent-Replay"] == "true"
    assert projects(session) == 1


def test_another_request_under_the_key_is_refused(session: Session, script: TestClient) -> None:
    script.post("/api/v1/projects", json={"name": "One"}, headers=KEY)

    other = script.post("/api/v1/projects", json={"name": "Two"}, headers=KEY)

    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"
    assert projects(session) == 1


def test_a_refused_request_leaves_the_key_free(script: TestClient) -> None:
    assert script.post("/api/v1/projects", json={"name": ""}, headers=KEY).status_code == 422

    assert script.post("/api/v1/projects", json={"name": "One"}, headers=KEY).status_code == 201


def test_keys_belong_to_people(session: Session, app: FastAPI, script: TestClient) -> None:
    other = with_token(app, session, make_person(session, role="admin"), Scope.ADMIN)

    assert script.post("/api/v1/projects", json={"name": "One"}, headers=KEY).status_code == 201
    assert other.post("/api/v1/projects", json={"name": "Two"}, headers=KEY).status_code == 201


def test_a_second_request_while_the_first_is_answered_is_a_conflict(
    session: Session, engine: Engine, app: FastAPI, script: TestClient
) -> None:
    with engine.begin() as first_request:
        lock = _lock_of(session, script)
        first_request.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
        assert script.post("/api/v1/projects", json={"name": "One"}, headers=KEY).status_code == 409

    assert script.post("/api/v1/projects", json={"name": "One"}, headers=KEY).status_code == 201


def _lock_of(session: Session, script: TestClient) -> int:
    name = script.get("/api/v1/me").json()["name"]
    return lock_of(
        session.scalars(select(Person.id).where(Person.name == name)).one(), KEY["Idempotency-Key"]
    )


def test_a_key_is_checked_only_after_the_caller(script: TestClient) -> None:
    script.headers["Authorization"] = "Bearer nobody"

    assert script.post("/api/v1/projects", json={"name": "One"}, headers=KEY).status_code == 401


def test_answers_are_kept_with_what_they_answer(session: Session, script: TestClient) -> None:
    script.post("/api/v1/projects", json={"name": "One"}, headers=KEY)

    kept = session.scalars(select(IdempotencyKey)).one()
    assert (kept.status, kept.key) == (201, "order 7")

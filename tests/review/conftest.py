"""The review routes on the test's own session."""

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.sessions import open_session as sign_in
from app.accounts.tokens import create_token
from app.pipeline import Scope
from app.review import (
    adjudication_pages,
    api,
    assign_pages,
    bulk_pages,
    draw_pages,
    instance_pages,
    label_api,
    label_pages,
    pages,
    policy_pages,
)
from app.storage.tables import Person, SignIn
from app.web.dependencies import SESSION_COOKIE, open_session
from app.web.errors import add_error_pages

ROUTES = (
    api,
    label_api,
    pages,
    bulk_pages,
    assign_pages,
    instance_pages,
    adjudication_pages,
    draw_pages,
    label_pages,
    policy_pages,
)


@pytest.fixture
def application(session: Session) -> FastAPI:
    application = FastAPI()
    add_error_pages(application)
    for routes in ROUTES:
        application.include_router(routes.router)
    application.dependency_overrides[open_session] = lambda: session
    return application


@pytest.fixture
def client(application: FastAPI) -> Iterator[TestClient]:
    with TestClient(application, follow_redirects=False) as client:
        yield client


@pytest.fixture
def acting_as(session: Session, client: TestClient) -> Callable[[Person, Scope], TestClient]:
    """The client with a token of this person."""

    def sign(person: Person, scope: Scope = Scope.REVIEW) -> TestClient:
        token = create_token(session, None, person, "tests", scope)
        client.headers["Authorization"] = f"Bearer {token}"
        return client

    return sign


@pytest.fixture
def sit_down(session: Session, client: TestClient) -> Callable[[Person], str]:
    """Sign this person's browser in; gives the token that its forms carry."""

    def sign(person: Person) -> str:
        client.cookies.set(SESSION_COOKIE, sign_in(session, person))
        return session.scalars(select(SignIn.csrf_token).where(SignIn.person_id == person.id)).one()

    return sign

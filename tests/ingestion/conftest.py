"""The routes of ingestion on the test's own session."""

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.accounts.sessions import open_session as sign_in
from app.accounts.tokens import create_token
from app.ingestion import api, import_api, import_pages, pages
from app.pipeline import Scope
from app.storage.tables import Person
from app.web.dependencies import SESSION_COOKIE, open_session
from app.web.errors import add_error_pages


@pytest.fixture
def client(session: Session) -> Iterator[TestClient]:
    application = FastAPI()
    add_error_pages(application)
    application.include_router(api.router)
    application.include_router(pages.router)
    application.include_router(import_api.router)
    application.include_router(import_pages.router)
    application.dependency_overrides[open_session] = lambda: session
    with TestClient(application, follow_redirects=False) as client:
        yield client


@pytest.fixture
def script_of(session: Session, client: TestClient) -> Callable[[Person], TestClient]:
    """The client with a token of this person."""

    def sign(person: Person) -> TestClient:
        token = create_token(session, None, person, "tests", Scope.ADMIN)
        client.headers["Authorization"] = f"Bearer {token}"
        return client

    return sign


@pytest.fixture
def browser_of(session: Session, client: TestClient) -> Callable[[Person], TestClient]:
    """The client with the cookie and the form token of this person."""

    def sign(person: Person) -> TestClient:
        client.cookies[SESSION_COOKIE] = sign_in(session, person)
        return client

    return sign

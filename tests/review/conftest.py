"""The review routes on the test's own session."""

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.accounts.tokens import create_token
from app.pipeline import Scope
from app.review import api
from app.storage.tables import Person
from app.web.dependencies import open_session
from app.web.errors import add_error_pages


@pytest.fixture
def application(session: Session) -> FastAPI:
    application = FastAPI()
    add_error_pages(application)
    application.include_router(api.router)
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

"""The whole application on the test's own session, and people who use it."""

import re
from collections.abc import Generator

from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy.orm import Session

from app.accounts.passwords import hash_password
from app.accounts.sessions import open_session as open_browser_session
from app.accounts.tokens import create_token
from app.main import create_app
from app.pipeline import Scope
from app.storage.tables import Person
from app.web.dependencies import SESSION_COOKIE, open_session

PASSWORD = "correct horse battery"
PASSWORD_HASH = hash_password(PASSWORD)


def application_on(session: Session) -> FastAPI:
    """The application; a request commits or rolls back savepoints of the test's session."""

    def on_the_tests_session(request: Request) -> Generator[Session]:
        session.commit()
        try:
            yield session
        except BaseException:
            session.rollback()
            raise
        if getattr(request.state, "refused", False):
            session.rollback()
        else:
            session.commit()

    app = create_app()
    app.dependency_overrides[open_session] = on_the_tests_session
    return app


def visitor(app: FastAPI) -> TestClient:
    """Somebody who is not signed in."""
    return TestClient(app, follow_redirects=False)


def signed_in(app: FastAPI, session: Session, person: Person) -> TestClient:
    """A browser of `person`, past the sign-in page; every form it posts carries the token."""
    client = visitor(app)
    client.cookies.set(SESSION_COOKIE, open_browser_session(session, person))
    client.headers["X-CSRF-Token"] = csrf_token_in(client.get("/password"))
    return client


def with_token(app: FastAPI, session: Session, person: Person, scope: Scope) -> TestClient:
    """A script that acts as `person`."""
    client = visitor(app)
    client.headers["Authorization"] = f"Bearer {create_token(session, None, person, 'tests', scope)}"
    return client


def csrf_token_in(page: Response) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]

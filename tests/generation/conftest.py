"""The routes of generation on the test's own session."""

from collections.abc import Generator

import pytest
from fastapi import FastAPI, Request
from sqlalchemy.orm import Session

from app.generation import api, pages
from app.web.dependencies import open_session
from app.web.errors import add_error_pages


@pytest.fixture
def app(session: Session) -> FastAPI:
    def on_the_tests_session(request: Request) -> Generator[Session]:
        yield session

    application = FastAPI()
    add_error_pages(application)
    for router in (api.router, pages.router):
        application.include_router(router)
    application.dependency_overrides[open_session] = on_the_tests_session
    return application

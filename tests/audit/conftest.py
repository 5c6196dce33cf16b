import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session

from app.storage.tables import Project
from tests.factories import make_project
from tests.web.clients import application_on


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def app(session: Session) -> FastAPI:
    return application_on(session)

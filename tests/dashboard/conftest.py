import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session

from tests.web.clients import application_on


@pytest.fixture
def app(session: Session) -> FastAPI:
    return application_on(session)

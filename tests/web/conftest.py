from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from app.storage.tables import Base
from tests.web.clients import application_on


@pytest.fixture
def app(session: Session) -> FastAPI:
    return application_on(session)


@pytest.fixture(scope="module")
def sessions(engine: Engine) -> Iterator[sessionmaker[Session]]:
    """For rows that requests see in sessions of their own; all of them are gone afterwards."""
    yield sessionmaker(engine, expire_on_commit=False)
    with engine.begin() as connection:
        tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))

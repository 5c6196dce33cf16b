"""The real parts: one private Postgres and Redis for all test processes, a savepoint per test."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.runtime.embedded import embedded_servers
from app.settings import settings
from app.storage.database import make_engine
from app.storage.migrations import migrate

# The first draw of a process builds a table of all characters, and the machines are shared: no test is about time.
hypothesis.settings.register_profile(
    "shared machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[str, str]]:
    """(database URL, Redis URL) of servers that belong to this test process."""
    with tempfile.TemporaryDirectory(prefix="bw-") as home, embedded_servers(Path(home)) as running:
        os.environ["BREAKWATER_HOME"] = home
        os.environ["DATABASE_URL"] = running.database_url
        os.environ["REDIS_URL"] = running.redis_url
        settings.cache_clear()
        yield running.database_url, running.redis_url


@pytest.fixture(scope="session")
def engine(servers: tuple[str, str]) -> Iterator[Engine]:
    database = make_engine(servers[0])
    migrate(database)
    yield database
    database.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session whose commits are savepoints: nothing a test does outlives it."""
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            yield session
        outer.rollback()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole products first, for they take long; browsers last, for theirs is an event loop that stays."""
    items.sort(key=_when)


def _when(item: pytest.Item) -> int:
    return 2 if item.get_closest_marker("browser") else 0 if item.get_closest_marker("stack") else 1

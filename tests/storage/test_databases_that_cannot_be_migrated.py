"""A database of another version, or none of ours, is refused in one sentence before anything in it is changed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import Engine, text

from app.storage.database import make_engine
from app.storage.migrations import CannotMigrate, migrate, why_other_tables

OURS = "CREATE TABLE alembic_version (version_num varchar(32)); CREATE TABLE work_item ()"


@pytest.fixture
def database(engine: Engine, servers: tuple[str, str]) -> Iterator[Callable[..., Engine]]:
    """Databases of our own; `options` as of CREATE DATABASE."""

    @contextmanager
    def make(name: str, options: str) -> Iterator[Engine]:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as server:
            server.execute(text(f"CREATE DATABASE {name} TEMPLATE template0 {options}"))
            made = make_engine(servers[0].replace("/breakwater?", f"/{name}?"))
            try:
                yield made
            finally:
                made.dispose()
                server.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

    with ExitStack() as stack:
        yield lambda options="": stack.enter_context(make("other", options))


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (f"{OURS}; INSERT INTO alembic_version VALUES ('9999')", "newer or another version"),
        (f"{OURS}; INSERT INTO alembic_version VALUES ('0001'), ('0002')", "2 versions"),
        (OURS, "does not say which version"),
        ("CREATE TABLE orders (id int)", "not Breakwater's (orders"),
    ],
)
def test_tables_that_no_migration_leads_on_from_are_left_alone(
    database: Callable[..., Engine], statements: str, says: str
) -> None:
    other = database()
    with other.begin() as connection:
        for statement in statements.split(";"):
            connection.execute(text(statement))
        before = connection.scalar(text("SELECT count(*) FROM pg_class"))

    with pytest.raises(CannotMigrate) as refused:
        migrate(other)

    with other.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_class")) == before
        assert why_other_tables(connection) == str(refused.value)
    assert says in str(refused.value)
    assert "nothing was changed" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_database_of_another_encoding_is_refused(database: Callable[..., Engine]) -> None:
    with pytest.raises(CannotMigrate, match=r"encoding LATIN1.*createdb --encoding UTF8"):
        migrate(database("ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'"))


def test_a_role_that_may_make_no_extension_is_told_what_to_ask_for(
    database: Callable[..., Engine], engine: Engine
) -> None:
    other = database()
    with other.begin() as connection:
        connection.execute(text("CREATE ROLE plain"))
        connection.execute(text("GRANT CREATE ON SCHEMA public TO plain"))
        connection.execute(text("GRANT plain TO breakwater"))
    as_plain = make_engine(
        other.url.render_as_string(hide_password=False), connect_args={"options": "-c role=plain"}
    )
    try:
        with pytest.raises(CannotMigrate, match="superuser run `CREATE EXTENSION IF NOT EXISTS vector"):
            migrate(as_plain)
    finally:
        as_plain.dispose()
        with other.begin() as connection:
            connection.execute(text("DROP OWNED BY plain"))
            connection.execute(text("DROP ROLE plain"))

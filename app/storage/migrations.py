"""Bringing a database to the tables of this version, and asking whether it is there."""

from functools import lru_cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from app.errors import DomainError
from app.storage.faults import FORBIDDEN, server_fault

ROOT = Path(__file__).parents[2]

OLDEST_POSTGRES = 15
"""The first major version with `UNIQUE NULLS NOT DISTINCT`, on which our tables rest."""

EXTENSIONS = ("vector", "pg_trgm")

# Any number will do as long as it stays: two hosts that start at once must not migrate at once.
_MIGRATION_LOCK = 7_200_914

_ANOTHER_DATABASE = (
    "make another with `createdb --encoding UTF8 --template template0 NAME`, and name it in DATABASE_URL"
)


class CannotMigrate(DomainError):
    """This database cannot be brought to the tables of this version; the text says why and what to do."""


def _config() -> Config:
    return Config(toml_file=ROOT / "pyproject.toml")


def migrate(engine: Engine) -> None:
    """Apply what is missing, in one transaction, one process at a time. Raises CannotMigrate before a change."""
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        refuse_what_cannot_be_migrated(connection)
        config = _config()
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except DBAPIError as error:
            if server_fault(error) is FORBIDDEN:
                raise CannotMigrate(_may_not_make_tables(error)) from None
            raise


def is_migrated(connection: Connection) -> bool:
    """Whether the database stands at this version's last migration."""
    return _revisions(connection) == (_known()[0],)


def why_other_tables(connection: Connection) -> str | None:
    """Why this program cannot work with the tables that are there, and what to do; None where it can."""
    try:
        refuse_what_cannot_be_migrated(connection)
    except CannotMigrate as error:
        return str(error)
    return (
        None if is_migrated(connection) else "of an older version, or not there yet: run `breakwater migrate`"
    )


def refuse_what_cannot_be_migrated(connection: Connection) -> None:
    """Raises CannotMigrate for a server, a database or tables that no migration of this version leads on from."""
    _check_server(connection)
    revisions = _revisions(connection)
    head, known = _known()
    strange = [revision for revision in revisions if revision not in known]
    if strange:
        raise CannotMigrate(
            f"the database has the tables of a newer or another version of Breakwater (revision {', '.join(strange)};"
            f" this one knows those up to {head}), and nothing was changed: start the version that made them"
            " (`breakwater version` says which this is), or restore a `pg_dump` of before into another database"
        )
    if len(revisions) > 1:
        raise CannotMigrate(
            f"the database names {len(revisions)} versions of its tables at once (alembic_version holds"
            f" {', '.join(revisions)}), and nothing was changed: restore a `pg_dump` of before into another database,"
            " or delete the rows that are wrong"
        )
    if not revisions and (found := _tables(connection)):
        ours = {"work_item", "instance", "alembic_version"} & set(found)
        raise CannotMigrate(
            "the database does not say which version its tables have (alembic_version is missing or empty), and"
            " nothing was changed: restore a `pg_dump` of before into another database"
            if ours
            else f"the database holds tables that are not Breakwater's ({', '.join(found[:3])} ...), and nothing was"
            f" changed: {_ANOTHER_DATABASE}"
        )
    if not revisions:
        _check_extensions(connection)


def differences(connection: Connection) -> list[object]:
    """What the models have and the migrations do not, or the other way round."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - only `make check` pays for it

    from app.storage.tables import Base  # noqa: PLC0415 - idem

    return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))


@lru_cache
def _known() -> tuple[str, frozenset[str]]:
    """The last revision of this version, and all up to it. Read once: a program's files stay."""
    scripts = ScriptDirectory.from_config(_config())
    return scripts.get_current_head() or "", frozenset(script.revision for script in scripts.walk_revisions())


def _revisions(connection: Connection) -> tuple[str, ...]:
    return tuple(sorted(MigrationContext.configure(connection).get_current_heads()))


def _tables(connection: Connection) -> list[str]:
    found = connection.execute(
        text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename")
    )
    return list(found.scalars())


def _check_server(connection: Connection) -> None:
    number, encoding = connection.execute(
        text("SELECT current_setting('server_version_num')::int, current_setting('server_encoding')")
    ).one()
    if number // 10_000 < OLDEST_POSTGRES:
        raise CannotMigrate(
            f"the server is PostgreSQL {number // 10_000}, and this Breakwater needs {OLDEST_POSTGRES} or newer with"
            " pgvector: name another in DATABASE_URL, or unset it to use the PostgreSQL that comes along"
        )
    if encoding != "UTF8":
        raise CannotMigrate(
            f"the database has the encoding {encoding}, and texts need UTF8: {_ANOTHER_DATABASE}"
        )


def _check_extensions(connection: Connection) -> None:
    there = connection.execute(
        text(
            "SELECT name FROM pg_available_extensions WHERE name = ANY(:names)"
            " UNION SELECT extname FROM pg_extension WHERE extname = ANY(:names)"
        ),
        {"names": list(EXTENSIONS)},
    ).scalars()
    if missing := sorted(set(EXTENSIONS) - set(there)):
        raise CannotMigrate(
            f"the server has no extension {' and '.join(missing)}: install pgvector and postgresql-contrib there"
            " (the image pgvector/pgvector has both), or unset DATABASE_URL to use the PostgreSQL that comes along"
        )


def _may_not_make_tables(error: DBAPIError) -> str:
    said = str(error.orig).splitlines()[0]
    return (
        f"the role in DATABASE_URL may not make what Breakwater needs ({said}), and nothing was changed: have a"
        f" superuser run `{'; '.join(f'CREATE EXTENSION IF NOT EXISTS {name}' for name in EXTENSIONS)}` in this"
        " database and give the role CREATE on its schema"
    )

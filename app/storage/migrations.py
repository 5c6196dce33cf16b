"""Bringing a database to the tables of this version, and asking whether it is there."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

ROOT = Path(__file__).parents[2]

# Any number will do as long as it stays: two hosts that start at once must not migrate at once.
_MIGRATION_LOCK = 7_200_914


def _config() -> Config:
    return Config(toml_file=ROOT / "pyproject.toml")


def migrate(engine: Engine) -> None:
    """Apply what is missing, in one transaction, one process at a time."""
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def is_migrated(connection: Connection) -> bool:
    """Whether the database stands at this version's last migration."""
    script = ScriptDirectory.from_config(_config())
    return MigrationContext.configure(connection).get_current_revision() == script.get_current_head()


def differences(connection: Connection) -> list[object]:
    """What the models have and the migrations do not, or the other way round."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - only `make check` pays for it

    from app.storage.tables import Base  # noqa: PLC0415 - idem

    return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))

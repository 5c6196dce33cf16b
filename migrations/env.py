"""How Alembic reaches the database: the one given on the command line, or DATABASE_URL."""

from alembic import context
from sqlalchemy import Connection

from app.settings import settings
from app.storage.database import make_engine
from app.storage.tables import Base


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    _migrate(given)
else:
    database_url = settings().database_url
    if database_url is None:
        raise SystemExit("DATABASE_URL is not set")
    with make_engine(database_url).connect() as own:
        _migrate(own)
        own.commit()

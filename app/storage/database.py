"""Engines and sessions. Nobody below an entry point commits."""

import json
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker

from app.settings import settings


def compact_json(value: Any) -> str:
    """JSON as it is sent to the database."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def make_engine(database_url: str, **options: Any) -> Engine:
    """An engine for `database_url`; any Postgres URL form is taken and driven by psycopg 3."""
    url = database_url.replace("postgres://", "postgresql://", 1)
    url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    return create_engine(url, pool_pre_ping=True, json_serializer=compact_json, **options)


@lru_cache
def engine() -> Engine:
    """The one engine of this process."""
    database_url = settings().database_url
    if database_url is None:
        raise RuntimeError("DATABASE_URL is not set: start the product with `breakwater up`")
    return make_engine(database_url, pool_size=20, max_overflow=30)


@lru_cache
def session_factory() -> sessionmaker[Session]:
    return sessionmaker(engine(), expire_on_commit=False)

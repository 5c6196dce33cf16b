"""Versions of a text that people wrote, as REST lists them. Pure."""

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, Field

from app.storage.versions import Written


class VersionShape(BaseModel):
    """One version: what it is called by, who wrote it, and whether the next runs start with it."""

    version: int
    content_hash: str
    by: str | None = Field(description="Null: the command line")
    note: str
    created_at: datetime
    in_force: bool


def version_shapes(versions: Iterable[Written], in_force: str) -> list[VersionShape]:
    """In their order; `in_force`: the content hash that the next runs start with."""
    return [
        VersionShape(
            version=row.version,
            content_hash=row.content_hash,
            by=author,
            note=row.note,
            created_at=row.created_at,
            in_force=row.content_hash == in_force,
        )
        for row, author in versions
    ]

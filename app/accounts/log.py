"""The log of who did what. Rows are only ever added."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.storage.keyset import newest_first
from app.storage.tables import LogEntry, Person, Project


def log(
    session: Session,
    actor: int | None,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
    *,
    project_id: int | None = None,
) -> None:
    """Add one entry, in the caller's transaction: what is rolled back was never done.

    `actor` is a person's number, or None for the system itself; `action` a noun with a verb in the past tense
    ("person added"); `subject` what it was done to, readable without looking anything up.
    """
    session.add(
        LogEntry(
            person_id=actor, action=action, subject=subject, detail=dict(detail or {}), project_id=project_id
        )
    )


def log_entries(
    session: Session, *, before: int | None, limit: int, project_id: int | None = None
) -> list[tuple[LogEntry, str | None, str | None]]:
    """Entries with the actor's name and the project's slug, newest first, older than number `before`."""
    query = (
        select(LogEntry, Person.name, Project.slug)
        .outerjoin(Person, Person.id == LogEntry.person_id)
        .outerjoin(Project, Project.id == LogEntry.project_id)
    )
    if project_id is not None:
        query = query.where(LogEntry.project_id == project_id)
    found = session.execute(newest_first(query, LogEntry.id, before, limit))
    return [(entry, name, slug) for entry, name, slug in found]

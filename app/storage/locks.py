"""Waiting one's turn: whoever is about to change something locks it first, and sees it as the last one left it.

A locked row can still be pointed at: rows that name it come in meanwhile (`FOR NO KEY UPDATE`), so that a project's
readers and workers do not wait for its settings.
"""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.storage.tables import Person, Project


def lock_row(session: Session, row: Person | Project) -> None:
    """Until this transaction ends nobody else changes the row; what it holds now is read again."""
    session.refresh(row, with_for_update={"key_share": True})


def lock_project(session: Session, project_id: int) -> None:
    """Two people who change a project at once do it one after the other."""
    session.execute(select(Project.id).where(Project.id == project_id).with_for_update(key_share=True))


def lock_steering(session: Session, run_id: int) -> None:
    """Two people who steer a run at once do it one after the other.

    Its row is not locked by that: workers take its items first and the row last, and go on.
    """
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("steer"), func.hashint8(run_id))))


def lock_cards(session: Session, person_id: int) -> None:
    """A person who asks for a card twice at once is given one after the other."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("cards"), func.hashint8(person_id))))

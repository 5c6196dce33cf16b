"""What the settings pages read."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.storage.tables import Guideline, Person, Project


def project_named(session: Session, slug: str) -> Project | None:
    return session.scalars(select(Project).where(Project.slug == slug)).one_or_none()


def guideline_versions(session: Session, project_id: int) -> list[tuple[Guideline, str | None]]:
    """Every version with the name of whoever saved it, newest first."""
    query = (
        select(Guideline, Person.name)
        .outerjoin(Person, Person.id == Guideline.person_id)
        .where(Guideline.project_id == project_id)
        .order_by(Guideline.version.desc())
    )
    return [(guideline, name) for guideline, name in session.execute(query)]


def all_projects(session: Session) -> list[Project]:
    return list(session.scalars(select(Project).order_by(Project.name)))

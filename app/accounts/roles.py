"""What a person may do where.

A role given without a project holds in all of them; of two roles the higher one counts. A token acts as its
person, so that the lower of its scope and the person's role counts.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session

from app.errors import Forbidden, NotFound
from app.pipeline import Role, Scope
from app.storage.tables import Membership, Person, Project

ROLES_UPWARDS = (Role.VIEWER, Role.ANNOTATOR, Role.ADMIN)
ROLE_OF_SCOPE = {Scope.READ: Role.VIEWER, Scope.REVIEW: Role.ANNOTATOR, Scope.ADMIN: Role.ADMIN}


class Caller(NamedTuple):
    """Who asks, and how much of what that person may do this way of asking allows."""

    person: Person
    scope: Scope


class SeenProject(NamedTuple):
    project: Project
    role: Role


def rank(role: Role) -> int:
    """Higher may do everything that lower may."""
    return ROLES_UPWARDS.index(role)


def role_everywhere(session: Session, caller: Caller) -> Role | None:
    """The role that holds in every project, or None."""
    query = select(Membership.role).where(
        Membership.person_id == caller.person.id, Membership.project_id.is_(None)
    )
    return _limited(caller, session.scalars(query).all())


def role_in(session: Session, caller: Caller, project_id: int) -> Role | None:
    """What the caller is in a project; None: may not know that it exists."""
    query = select(Membership.role).where(
        Membership.person_id == caller.person.id,
        or_(Membership.project_id.is_(None), Membership.project_id == project_id),
    )
    return _limited(caller, session.scalars(query).all())


def admit(session: Session, caller: Caller, project_id: int, least: Role) -> None:
    """Let the caller pass with at least this role in the project.

    Raises NotFound where the caller may not know the project, Forbidden where the role is too low.
    """
    role = role_in(session, caller, project_id)
    if role is None:
        raise NotFound("there is no such thing, or you may not see it")
    demand(role, least)


def admit_everywhere(session: Session, caller: Caller, least: Role) -> None:
    """Let the caller pass with at least this role in all projects; raises Forbidden."""
    role = role_everywhere(session, caller)
    if role is None:
        raise Forbidden(f"this needs the role {least} in all projects")
    demand(role, least)


def demand(role: Role, least: Role) -> None:
    if rank(role) < rank(least):
        raise Forbidden(f"this needs the role {least}; yours is {role} here")


_SEEN_PROJECTS = (
    select(Project, Membership.role)
    .join(Membership, or_(Membership.project_id.is_(None), Membership.project_id == Project.id))
    .where(Membership.person_id == bindparam("person_id"))
    .order_by(Project.name, Project.id)
)


def seen_projects(session: Session, caller: Caller) -> list[SeenProject]:
    """Every project the caller may see with the role there, by name."""
    roles: dict[Project, list[str]] = {}
    for project, role in session.execute(_SEEN_PROJECTS, {"person_id": caller.person.id}):
        roles.setdefault(project, []).append(role)
    seen = [(project, _limited(caller, given)) for project, given in roles.items()]
    return [SeenProject(project, role) for project, role in seen if role is not None]


def _limited(caller: Caller, given: Sequence[str]) -> Role | None:
    roles = [Role(name) for name in given]
    if not roles:
        return None
    return min(max(roles, key=rank), ROLE_OF_SCOPE[caller.scope], key=rank)

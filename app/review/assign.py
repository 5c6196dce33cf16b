"""Giving waiting instances to one reader, and back to everybody. Touches the tables; every change is in the log."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.errors import InvalidInput
from app.pipeline import InstanceStatus, Role
from app.review.bulk import MOST_AT_ONCE
from app.review.filters import Filters, ids_matching
from app.review.work_queue import answered_by, held_by_another
from app.storage.tables import Instance, Membership, Person, Project

NOBODY = 0


def readers(session: Session, project_id: int) -> list[Person]:
    """Active people who may review in the project, by name."""
    query = (
        select(Person)
        .where(
            Person.active,
            Person.id.in_(
                select(Membership.person_id).where(
                    or_(Membership.project_id.is_(None), Membership.project_id == project_id),
                    Membership.role.in_((Role.ANNOTATOR, Role.ADMIN)),
                )
            ),
        )
        .order_by(Person.name)
    )
    return list(session.scalars(query))


class Assigned(NamedTuple):
    person: Person
    waiting: int


def assigned(session: Session, project_id: int) -> list[Assigned]:
    """Who has instances of their own that wait, also people who may not read here any more."""
    query = (
        select(Person, func.count())
        .join(Instance, Instance.assigned_to == Person.id)
        .where(Instance.project_id == project_id, Instance.status == InstanceStatus.WAITING)
        .group_by(Person.id)
        .order_by(Person.name)
    )
    return [Assigned(person, rows) for person, rows in session.execute(query)]


class Given(NamedTuple):
    """What an assignment did: `left_out` matched and waits, but is in a reader's hands or answered by this one."""

    rows: int
    left_out: int


def count_waiting(session: Session, project_id: int, filters: Filters) -> int:
    """At most MOST_AT_ONCE + 1."""
    some = _waiting(session, project_id, filters).limit(MOST_AT_ONCE + 1).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def assign(session: Session, actor: Person, project: Project, filters: Filters, person_id: int) -> Given:
    """Give what matches and waits to one reader; NOBODY: back to everybody.

    Raises:
        InvalidInput: that person does not read here, or too much matches.
    """
    names = {one.id: one.name for one in readers(session, project.id)}
    if person_id != NOBODY and person_id not in names:
        raise InvalidInput("choose somebody who may review in this project", "reader")
    instance_ids = session.scalars(
        _waiting(session, project.id, filters).limit(MOST_AT_ONCE + 1).with_for_update(of=Instance)
    ).all()
    if len(instance_ids) > MOST_AT_ONCE:
        raise InvalidInput(f"At most {MOST_AT_ONCE:,} instances are assigned at once: narrow the filter")
    given = _hand_over(
        session, person_id or None, Instance.id == func.any(instance_ids), *_may_have(person_id)
    )
    log(
        session,
        actor.id,
        "instances assigned",
        names.get(person_id, "nobody"),
        {
            "filters": {name: value for name, value in filters._asdict().items() if value},
            "instances": given,
        },
        project_id=project.id,
    )
    return Given(given, len(instance_ids) - given)


def free(session: Session, actor: Person, project: Project, person_id: int) -> int:
    """Back to everybody, whatever waits for this one person."""
    freed = _hand_over(session, None, Instance.project_id == project.id, Instance.assigned_to == person_id)
    log(
        session,
        actor.id,
        "instances freed",
        f"person {person_id}",
        {"instances": freed},
        project_id=project.id,
    )
    return freed


def _hand_over(session: Session, person_id: int | None, *where: ColumnElement[bool]) -> int:
    """Assign what fits, or make it everybody's; returns the number of rows."""
    changed = session.scalars(
        update(Instance)
        .where(*where)
        .values(assigned_to=person_id)
        .returning(Instance.id)
        .execution_options(synchronize_session=False)
    ).all()
    session.expire_all()
    return len(changed)


def _waiting(session: Session, project_id: int, filters: Filters) -> Select[int]:
    return (
        select(Instance.id)
        .where(
            Instance.id.in_(ids_matching(session, project_id, filters)),
            Instance.status == InstanceStatus.WAITING,
        )
        .order_by(Instance.id)
    )


def _may_have(person_id: int) -> list[ColumnElement[bool]]:
    """What this person has answered already would wait for nobody in their queue."""
    if person_id == NOBODY:
        return []
    return [~held_by_another(person_id), ~answered_by(person_id)]

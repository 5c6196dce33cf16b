"""People: signing in, adding, changing, deactivating. Every change is in the log of who did what.

The last active administrator of all projects cannot be removed, deactivated or demoted. Whoever changes such
a role first locks the rows of all administrators, so that two people cannot demote each other at once.
"""

import re
from typing import NamedTuple

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.accounts.passwords import demand_good_password, hash_password, is_right
from app.accounts.secrets import one_time_password
from app.accounts.sessions import close_sessions_of, open_session
from app.accounts.throttle import Throttle
from app.errors import Conflict, InvalidInput, NotFound
from app.pipeline import Role
from app.storage.locks import lock_row
from app.storage.tables import Membership, Person, Project, SignIn

FIRST_ADMIN = "admin"
WRONG = "the name or the password is wrong"  # which of them, nobody is told
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_FIRST_ADMIN_LOCK = 7_200_915


class Opened(NamedTuple):
    """A new browser session; `cookie` is the only copy of its secret."""

    person: Person
    cookie: str


class Added(NamedTuple):
    """A person with the password to hand over; `one_time` is None where one was given."""

    person: Person
    one_time: str | None


class RoleGiven(NamedTuple):
    role: Role
    project_id: int | None
    slug: str | None  # None: in all projects


class Listed(NamedTuple):
    person: Person
    roles: list[RoleGiven]


# --- signing in -------------------------------------------------------------------------------------------


def sign_in(session: Session, throttle: Throttle, name: str, password: str, address: str) -> Opened:
    """Open a session for a name and its password.

    Raises TooManyAttempts, or InvalidInput with the same words for an unknown name, a wrong password and a
    person who is not active, after the same work.
    """
    name = name.strip().lower()
    throttle.count_attempt(name, address)
    person = None if "\0" in name else person_named(session, name)
    usable = person is not None and person.active
    if not is_right(password, person.password_hash if person is not None and usable else None):
        raise InvalidInput(WRONG, "password")
    assert person is not None
    throttle.forget_attempts(name, address)
    log(session, person.id, "signed in", person.name)
    return Opened(person, open_session(session, person))


def change_password(session: Session, person: Person, old: str | None, new: str, here: SignIn) -> None:
    """Set one's own password and sign out everywhere else.

    `old` may be None only while a one-time password is in force: it was typed to get here.
    """
    before = person.password_hash
    lock_row(session, person)
    if person.password_hash != before and is_right(new, person.password_hash):
        return  # the form was sent twice
    if not person.must_change_password and not is_right(old or "", person.password_hash):
        raise InvalidInput("this is not your present password", "old_password")
    demand_good_password(new, person.name)
    if is_right(new, person.password_hash):
        raise InvalidInput("choose a password other than the present one", "password")
    person.password_hash = hash_password(new)
    person.must_change_password = False
    close_sessions_of(session, person.id, but=here)
    log(session, person.id, "password changed", person.name)


# --- people -----------------------------------------------------------------------------------------------


def ensure_first_admin(session: Session) -> str | None:
    """Create `admin` where there is nobody at all; gives its one-time password, None when there is somebody."""
    session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _FIRST_ADMIN_LOCK})
    if session.scalar(select(func.count()).select_from(Person)):
        return None
    return add_person(session, None, FIRST_ADMIN, Role.ADMIN).one_time


def add_person(
    session: Session,
    actor: int | None,
    name: str,
    role: Role,
    *,
    project_id: int | None = None,
    password: str | None = None,
) -> Added:
    """Add a person with a role in one project, or in all. Without `password` a one-time one is made."""
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "a name takes 1 to 64 of a-z 0-9 . _ @ - and starts with a letter or digit", "name"
        )
    if password is not None:
        demand_good_password(password, name)
    if person_named(session, name) is not None:
        raise Conflict(f"there is already somebody called {name}")
    secret = password if password is not None else one_time_password()
    values = {
        "name": name,
        "password_hash": hash_password(secret),
        "must_change_password": password is None,
        "active": True,
    }
    added = session.scalars(
        insert(Person).values(values).on_conflict_do_nothing(index_elements=["name"]).returning(Person)
    ).one_or_none()
    if added is None:
        raise Conflict(f"there is already somebody called {name}")
    session.add(Membership(person_id=added.id, project_id=project_id, role=role))
    log(session, actor, "person added", name, {"role": role}, project_id=project_id)
    session.flush()
    return Added(added, None if password is not None else secret)


def give_role(
    session: Session, actor: int | None, person_id: int, role: Role, project_id: int | None = None
) -> None:
    """Give a person this role in one project, or in all, instead of the one they had there."""
    person = person_numbered(session, person_id)
    if project_id is None and role is not Role.ADMIN:
        _keep_an_admin(session, person)
    changed = session.scalars(
        insert(Membership)
        .values(person_id=person_id, project_id=project_id, role=role)
        .on_conflict_do_update(
            index_elements=["person_id", "project_id"], set_={"role": role}, where=Membership.role != role
        )
        .returning(Membership.id)
    ).one_or_none()
    if changed is None:
        return
    log(session, actor, "role given", person.name, {"role": role}, project_id=project_id)


def take_role(session: Session, actor: int | None, person_id: int, project_id: int | None = None) -> None:
    """Take away the role that a person has in one project, or the one that holds in all."""
    person = person_numbered(session, person_id)
    if project_id is None:
        _keep_an_admin(session, person)
    here = Membership.project_id.is_(None) if project_id is None else Membership.project_id == project_id
    gone = session.scalars(
        delete(Membership).where(Membership.person_id == person_id, here).returning(Membership.role)
    ).one_or_none()
    if gone is None:
        raise NotFound(f"{person.name} has no such role")
    log(session, actor, "role taken away", person.name, {"role": gone}, project_id=project_id)


def deactivate_person(session: Session, actor: int | None, person_id: int) -> None:
    """Sign a person out everywhere and let them in no more; what they did stays, under their name."""
    person = person_numbered(session, person_id)
    lock_row(session, person)
    if not person.active:
        return
    _keep_an_admin(session, person)
    person.active = False
    close_sessions_of(session, person.id)
    log(session, actor, "person deactivated", person.name)
    session.flush()


def reactivate_person(session: Session, actor: int | None, person_id: int) -> None:
    person = person_numbered(session, person_id)
    lock_row(session, person)
    if person.active:
        return
    person.active = True
    log(session, actor, "person reactivated", person.name)


def reset_password(session: Session, actor: int | None, person_id: int) -> str:
    """A new one-time password for a person; signs them out everywhere."""
    person = person_numbered(session, person_id)
    lock_row(session, person)
    secret = one_time_password()
    person.password_hash = hash_password(secret)
    person.must_change_password = True
    close_sessions_of(session, person.id)
    log(session, actor, "password reset", person.name)
    return secret


def person_named(session: Session, name: str) -> Person | None:
    return session.scalars(select(Person).where(Person.name == name.strip().lower())).one_or_none()


def person_numbered(session: Session, person_id: int) -> Person:
    """Raises NotFound."""
    person = session.get(Person, person_id)
    if person is None:
        raise NotFound(f"there is no person {person_id}")
    return person


def people(session: Session) -> list[Listed]:
    """Everybody with their roles, active people first, by name."""
    listed = {
        person.id: Listed(person, [])
        for person in session.scalars(select(Person).order_by(Person.active.desc(), Person.name))
    }
    roles = session.execute(
        select(Membership, Project.slug)
        .outerjoin(Project, Project.id == Membership.project_id)
        .order_by(Project.slug.nulls_first())
    )
    for given, slug in roles:
        listed[given.person_id].roles.append(RoleGiven(Role(given.role), given.project_id, slug))
    return list(listed.values())


def _keep_an_admin(session: Session, leaving: Person) -> None:
    """Raises Conflict where nobody but `leaving` could administer all projects. Locks those rows."""
    admins = session.scalars(
        select(Membership.person_id)
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.project_id.is_(None), Membership.role == Role.ADMIN, Person.active)
        .order_by(Membership.id)
        .with_for_update()
    ).all()
    if list(admins) == [leaving.id]:
        raise Conflict(f"{leaving.name} is the last administrator; make somebody else one first")

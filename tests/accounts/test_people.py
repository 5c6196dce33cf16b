"""Adding and changing people; and that somebody can always administer."""

import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from app.accounts import service
from app.accounts.passwords import is_right
from app.errors import Conflict, InvalidInput, NotFound
from app.pipeline import Role
from app.storage.tables import LogEntry, Membership, Person
from tests.factories import make_person, make_project


def test_the_first_administrator_is_made_once_and_must_choose_a_password(session: Session) -> None:
    password = service.ensure_first_admin(session)

    admin = service.person_named(session, "admin")
    assert password is not None
    assert admin is not None
    assert admin.must_change_password
    assert is_right(password, admin.password_hash)
    assert service.ensure_first_admin(session) is None


def test_a_person_gets_a_one_time_password_or_keeps_the_given_one(session: Session) -> None:
    project = make_project(session)

    made = service.add_person(session, None, " Maria.Lopez ", Role.ANNOTATOR, project_id=project.id)
    given = service.add_person(session, None, "kofi", Role.VIEWER, password="a long enough one")

    assert made.person.name == "maria.lopez"
    assert made.one_time is not None
    assert made.person.must_change_password
    assert given.one_time is None
    assert not given.person.must_change_password


@pytest.mark.parametrize("name", ["", "-x", "two words", "x" * 65, "a/b", "ü", "a\0b"])
def test_a_name_that_cannot_stand_in_the_log_is_refused(session: Session, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        service.add_person(session, None, name, Role.VIEWER)

    assert refused.value.field == "name"


def test_two_people_cannot_have_one_name(session: Session) -> None:
    service.add_person(session, None, "lin", Role.VIEWER)

    with pytest.raises(Conflict, match="already somebody called lin"):
        service.add_person(session, None, "LIN", Role.VIEWER)


def test_every_change_is_in_the_log_with_its_author(session: Session) -> None:
    admin = make_person(session, role="admin")
    person = service.add_person(session, admin.id, "lin", Role.VIEWER).person
    service.give_role(session, admin.id, person.id, Role.ADMIN)
    service.reset_password(session, admin.id, person.id)
    service.deactivate_person(session, admin.id, person.id)
    service.reactivate_person(session, admin.id, person.id)
    service.take_role(session, admin.id, person.id)
    session.flush()

    entries = session.scalars(select(LogEntry).where(LogEntry.subject == "lin").order_by(LogEntry.id)).all()
    assert [entry.action for entry in entries] == [
        "person added",
        "role given",
        "password reset",
        "person deactivated",
        "person reactivated",
        "role taken away",
    ]
    assert {entry.person_id for entry in entries} == {admin.id}


def test_a_role_in_one_project_replaces_the_one_there_and_no_other(session: Session) -> None:
    project = make_project(session)
    person = make_person(session, role="viewer")

    service.give_role(session, None, person.id, Role.ANNOTATOR, project.id)
    service.give_role(session, None, person.id, Role.ADMIN, project.id)

    listed = next(one for one in service.people(session) if one.person is person)
    assert {(given.role, given.slug) for given in listed.roles} == {
        (Role.VIEWER, None),
        (Role.ADMIN, project.slug),
    }
    service.take_role(session, None, person.id, project.id)
    with pytest.raises(NotFound):
        service.take_role(session, None, person.id, project.id)


LEAVING: list[Callable[[Session, int], None]] = [
    lambda session, person_id: service.deactivate_person(session, None, person_id),
    lambda session, person_id: service.take_role(session, None, person_id),
    lambda session, person_id: service.give_role(session, None, person_id, Role.VIEWER),
]
WAYS = pytest.mark.parametrize("leave", LEAVING, ids=["deactivated", "removed", "demoted"])


@WAYS
def test_the_last_administrator_stays(session: Session, leave: Callable[[Session, int], None]) -> None:
    admin = make_person(session, role="admin")
    make_person(session, role="admin", active=False)
    make_person(session, role="admin", project=make_project(session))

    with pytest.raises(Conflict, match="last administrator"):
        leave(session, admin.id)

    make_person(session, role="admin")
    leave(session, admin.id)


@pytest.fixture
def two_admins(engine: Engine) -> Iterator[list[int]]:
    """Committed, for this test needs two transactions."""
    with Session(engine) as session:
        admins = [make_person(session, role="admin").id for _ in range(2)]
        session.commit()
    yield admins
    with Session(engine) as session:
        session.execute(delete(LogEntry))
        session.execute(delete(Membership).where(Membership.person_id.in_(admins)))
        session.execute(delete(Person).where(Person.id.in_(admins)))
        session.commit()


@WAYS
def test_two_administrators_cannot_remove_each_other_at_once(
    engine: Engine, two_admins: list[int], leave: Callable[[Session, int], None]
) -> None:
    both_ready = threading.Barrier(2)
    outcomes: list[str] = []

    def remove(person_id: int) -> None:
        with Session(engine) as session:
            both_ready.wait()
            try:
                leave(session, person_id)
                session.commit()
                outcomes.append("gone")
            except Conflict:
                outcomes.append("kept")

    threads = [threading.Thread(target=remove, args=(person_id,)) for person_id in two_admins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["gone", "kept"]

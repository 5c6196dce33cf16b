"""Who gets in, who does not, and what each of them is told."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.accounts.passwords import hash_password
from app.accounts.service import WRONG, change_password, deactivate_person, sign_in
from app.accounts.sessions import ABSOLUTE, IDLE, SignedIn, forget_expired_sessions, open_session, session_of
from app.accounts.throttle import PER_NAME_AND_ADDRESS, Throttle, make_throttle
from app.errors import InvalidInput, TooManyAttempts
from app.storage.tables import LogEntry, Person, SignIn
from tests.factories import make_person

PASSWORD = "correct horse battery"
HASH = hash_password(PASSWORD)


@pytest.fixture
def throttle() -> Throttle:
    return make_throttle(None)


@pytest.fixture
def person(session: Session) -> Person:
    return make_person(session, password_hash=HASH)


def test_the_right_password_opens_a_session_and_is_logged(
    session: Session, throttle: Throttle, person: Person
) -> None:
    opened = sign_in(session, throttle, person.name.upper(), PASSWORD, "here")

    found = session_of(session, opened.cookie)
    assert found is not None
    assert found.person is person
    assert session.scalars(select(LogEntry.action).where(LogEntry.person_id == person.id)).all() == [
        "signed in"
    ]


def test_the_database_never_holds_what_the_cookie_holds(
    session: Session, throttle: Throttle, person: Person
) -> None:
    cookie = sign_in(session, throttle, person.name, PASSWORD, "here").cookie

    kept = session.scalars(select(SignIn).where(SignIn.person_id == person.id)).one()
    assert cookie not in (kept.token_hash, kept.csrf_token)


def test_unknown_wrong_and_deactivated_are_told_the_same(
    session: Session, throttle: Throttle, person: Person
) -> None:
    gone = make_person(session, password_hash=HASH, active=False)
    said: list[str] = []
    for name, password in (
        ("nobody", PASSWORD),
        (person.name, "wrong"),
        (gone.name, PASSWORD),
        ("a\0b", "x"),
    ):
        with pytest.raises(InvalidInput) as refused:
            sign_in(session, throttle, name, password, "here")
        said.append(str(refused.value))

    assert set(said) == {WRONG}


def test_guessing_is_stopped_and_told_when_to_come_back(
    session: Session, throttle: Throttle, person: Person
) -> None:
    for _ in range(PER_NAME_AND_ADDRESS.amount):
        throttle.count_attempt(person.name, "there")

    with pytest.raises(TooManyAttempts, match="wait up to 15 minutes") as stopped:
        sign_in(session, throttle, person.name, PASSWORD, "there")

    assert stopped.value.retry_after == 15 * 60
    assert sign_in(session, throttle, person.name, PASSWORD, "elsewhere").person is person


def test_a_right_password_forgives_the_typing_errors_before_it(
    session: Session, throttle: Throttle, person: Person
) -> None:
    for _ in range(3):
        for _ in range(PER_NAME_AND_ADDRESS.amount - 1):
            throttle.count_attempt(person.name, "here")
        sign_in(session, throttle, person.name, PASSWORD, "here")


def test_attempts_are_counted_over_all_processes_and_without_redis_in_each(servers: tuple[str, str]) -> None:
    one, other = make_throttle(servers[1]), make_throttle(servers[1])
    for _ in range(PER_NAME_AND_ADDRESS.amount):
        one.count_attempt("shared", "here")
    with pytest.raises(TooManyAttempts):
        other.count_attempt("shared", "here")

    alone = make_throttle("redis://127.0.0.1:1")
    for _ in range(PER_NAME_AND_ADDRESS.amount):
        alone.count_attempt("shared", "here")
    with pytest.raises(TooManyAttempts):
        alone.count_attempt("shared", "here")


def test_a_session_survives_the_day_but_not_weeks(session: Session, person: Person) -> None:
    cookie = open_session(session, person)

    def seen_ago(time: timedelta) -> None:
        session.execute(update(SignIn).values(last_seen_at=func.now() - time))

    seen_ago(timedelta(hours=12))
    assert session_of(session, cookie) is not None
    seen_ago(IDLE + timedelta(minutes=1))
    assert session_of(session, cookie) is None
    seen_ago(timedelta())
    session.execute(update(SignIn).values(expires_at=func.now()))
    assert ABSOLUTE.days < 31
    assert session_of(session, cookie) is None
    assert forget_expired_sessions(session) == 1


def test_being_deactivated_signs_one_out_everywhere(session: Session, person: Person) -> None:
    cookie = open_session(session, person)

    deactivate_person(session, None, person.id)

    assert session_of(session, cookie) is None


class TestOnesOwnPassword:
    def here(self, session: Session, person: Person) -> SignedIn:
        found = session_of(session, open_session(session, person))
        assert found is not None
        return found

    def test_changing_it_signs_out_everywhere_but_here(self, session: Session, person: Person) -> None:
        elsewhere, here = open_session(session, person), self.here(session, person)

        change_password(session, person, PASSWORD, "another long one", here.sign_in)

        assert session_of(session, elsewhere) is None
        assert session.get(SignIn, here.sign_in.id) is not None

    @pytest.mark.parametrize(
        ("old", "new", "field"),
        [
            ("not it", "another long one", "old_password"),
            (None, "another long one", "old_password"),
            (PASSWORD, "short", "password"),
            (PASSWORD, "x" * 201, "password"),
            (PASSWORD, "aaaaaaaaaaaa", "password"),
            (PASSWORD, PASSWORD, "password"),
        ],
    )
    def test_a_poor_one_is_refused_by_name_of_the_field(
        self, session: Session, person: Person, old: str | None, new: str, field: str
    ) -> None:
        with pytest.raises(InvalidInput) as refused:
            change_password(session, person, old, new, self.here(session, person).sign_in)

        assert refused.value.field == field

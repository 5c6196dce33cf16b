"""Browsers that are signed in. A session outlives a working day, but not a week without use.

The cookie holds 256 random bits; the database only their hash, so that a stolen backup signs nobody in.
"""

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.orm import Session

from app.accounts.secrets import hash_of, new_secret
from app.accounts.stamps import stamp
from app.storage.tables import Person, SignIn

IDLE = timedelta(hours=20)  # a working day and the night after it
ABSOLUTE = timedelta(days=14)
SEEN_EVERY = timedelta(minutes=1)  # reading a page seldom writes


class SignedIn(NamedTuple):
    person: Person
    sign_in: SignIn


def open_session(session: Session, person: Person) -> str:
    """Sign a browser in; gives the secret for its cookie."""
    cookie = new_secret()
    session.add(
        SignIn(
            person_id=person.id,
            token_hash=cookie.hash,
            csrf_token=new_secret().secret,
            expires_at=func.now() + ABSOLUTE,
        )
    )
    session.flush()
    return cookie.secret


_LONG_UNSEEN = SignIn.last_seen_at < func.now() - SEEN_EVERY

_HELD_BY = (
    select(Person, SignIn, _LONG_UNSEEN)
    .join(SignIn, SignIn.person_id == Person.id)
    .where(
        SignIn.token_hash == bindparam("token_hash"),
        SignIn.expires_at > func.now(),
        SignIn.last_seen_at > func.now() - IDLE,
        Person.active,
    )
)


def session_of(session: Session, cookie: str) -> SignedIn | None:
    """Who holds this cookie; None when it is unknown, too old, unused too long, or the person inactive.

    Asked first in a transaction: that the browser was seen is committed at once, now and then.
    """
    row = session.execute(_HELD_BY, {"token_hash": hash_of(cookie)}).one_or_none()
    if row is None:
        return None
    person, sign_in, is_stamp_due = row
    if is_stamp_due:
        stamp(session, SignIn, sign_in.id, _LONG_UNSEEN, last_seen_at=func.now())
    return SignedIn(person, sign_in)


def keep_project(session: Session, sign_in: SignIn, project_id: int) -> None:
    """Keep which project this browser looks at. Commits at once, before anything else is written."""
    stamp(session, SignIn, sign_in.id, SignIn.project_id.is_distinct_from(project_id), project_id=project_id)


def close_session(session: Session, sign_in: SignIn) -> bool:
    """False where it is closed already."""
    closed = delete(SignIn).where(SignIn.id == sign_in.id).returning(SignIn.id)
    return session.scalars(closed).one_or_none() is not None


def close_sessions_of(session: Session, person_id: int, *, but: SignIn | None = None) -> None:
    """Sign a person out everywhere, or everywhere but here."""
    query = delete(SignIn).where(SignIn.person_id == person_id)
    session.execute(query if but is None else query.where(SignIn.id != but.id))


def forget_expired_sessions(session: Session) -> int:
    """Delete sessions that can no longer be used; gives their number."""
    expired = (SignIn.expires_at <= func.now()) | (SignIn.last_seen_at <= func.now() - IDLE)
    return len(session.scalars(delete(SignIn).where(expired).returning(SignIn.id)).all())

"""API tokens: shown once, kept as a hash, limited by their scope and by their person's role."""

from datetime import timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.accounts.roles import Caller
from app.accounts.secrets import SHOWN_CHARACTERS, TOKEN_MARK, hash_of, new_secret
from app.accounts.stamps import stamp
from app.errors import InvalidInput, NotFound
from app.pipeline import Scope
from app.storage.tables import ApiToken, Person

USED_EVERY = timedelta(minutes=1)  # a script's requests seldom write
_LONG_UNUSED = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at < func.now() - USED_EVERY)


def create_token(session: Session, actor: int | None, person: Person, name: str, scope: Scope) -> str:
    """Make a token that acts as `person`; gives it, the only time it can be seen."""
    if not person.active:
        raise InvalidInput(f"{person.name} is deactivated", "person")
    if not name.strip():
        raise InvalidInput("a token needs a name, so that it can be told from others", "name")
    token = new_secret(TOKEN_MARK)
    prefix = token.secret[: len(TOKEN_MARK) + SHOWN_CHARACTERS]
    session.add(
        ApiToken(person_id=person.id, name=name.strip(), scope=scope, prefix=prefix, token_hash=token.hash)
    )
    log(
        session, actor, "token created", prefix, {"name": name.strip(), "scope": scope, "person": person.name}
    )
    return token.secret


def revoke_token(session: Session, actor: int | None, token_id: int, *, owner_id: int | None = None) -> None:
    """End a token at once. With `owner_id` only that person's own."""
    query = select(ApiToken).where(ApiToken.id == token_id, ApiToken.revoked_at.is_(None)).with_for_update()
    if owner_id is not None:
        query = query.where(ApiToken.person_id == owner_id)
    token = session.scalars(query).one_or_none()
    if token is None:
        raise NotFound("there is no such token, or it is already revoked")
    session.execute(update(ApiToken).where(ApiToken.id == token.id).values(revoked_at=func.now()))
    log(session, actor, "token revoked", token.prefix, {"name": token.name})


def caller_of_token(session: Session, secret: str) -> Caller | None:
    """Who this token acts as; None when it is unknown or revoked, or its person is not active.

    Asked first in a transaction: that the token was used is committed at once, now and then.
    """
    row = session.execute(
        select(Person, ApiToken, _LONG_UNUSED)
        .join(ApiToken, ApiToken.person_id == Person.id)
        .where(ApiToken.token_hash == hash_of(secret), ApiToken.revoked_at.is_(None), Person.active)
    ).one_or_none()
    if row is None:
        return None
    person, token, is_stamp_due = row
    if is_stamp_due:
        stamp(session, ApiToken, token.id, _LONG_UNUSED, last_used_at=func.now())
    return Caller(person, Scope(token.scope))


def tokens(session: Session, *, owner_id: int | None = None) -> list[tuple[ApiToken, str]]:
    """Tokens that are in force with their person's name, newest first; of one person or of all."""
    query = (
        select(ApiToken, Person.name)
        .join(Person, Person.id == ApiToken.person_id)
        .where(ApiToken.revoked_at.is_(None))
        .order_by(ApiToken.id.desc())
    )
    if owner_id is not None:
        query = query.where(ApiToken.person_id == owner_id)
    return [(token, name) for token, name in session.execute(query)]

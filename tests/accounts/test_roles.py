"""What a person may do where: the higher of two roles, never more than the token's scope."""

import pytest
from sqlalchemy.orm import Session

from app.accounts.roles import Caller, admit, role_in, seen_projects
from app.accounts.service import deactivate_person, give_role
from app.accounts.tokens import caller_of_token, create_token, revoke_token, tokens
from app.errors import Forbidden, InvalidInput, NotFound
from app.pipeline import Role, Scope
from app.storage.tables import ApiToken
from tests.factories import make_person, make_project


@pytest.mark.parametrize(
    ("everywhere", "here", "scope", "expected"),
    [
        ("admin", None, Scope.ADMIN, Role.ADMIN),
        ("viewer", "annotator", Scope.ADMIN, Role.ANNOTATOR),
        ("annotator", "viewer", Scope.ADMIN, Role.ANNOTATOR),
        (None, "admin", Scope.REVIEW, Role.ANNOTATOR),
        (None, "admin", Scope.READ, Role.VIEWER),
        (None, "viewer", Scope.ADMIN, Role.VIEWER),
        (None, None, Scope.ADMIN, None),
    ],
)
def test_the_role_in_a_project(
    session: Session, everywhere: str | None, here: str | None, scope: Scope, expected: Role | None
) -> None:
    project, other = make_project(session), make_project(session)
    person = make_person(session, role="viewer", project=other)
    if everywhere:
        give_role(session, None, person.id, Role(everywhere))
    if here:
        give_role(session, None, person.id, Role(here), project.id)

    assert role_in(session, Caller(person, scope), project.id) == expected


def test_a_project_one_may_not_know_is_not_found_and_one_of_a_low_role_forbidden(session: Session) -> None:
    mine, other = make_project(session), make_project(session)
    caller = Caller(make_person(session, role="viewer", project=mine), Scope.ADMIN)

    admit(session, caller, mine.id, Role.VIEWER)
    with pytest.raises(Forbidden, match="needs the role annotator"):
        admit(session, caller, mine.id, Role.ANNOTATOR)
    with pytest.raises(NotFound):
        admit(session, caller, other.id, Role.VIEWER)
    assert [seen.project for seen in seen_projects(session, caller)] == [mine]


def test_a_token_is_kept_as_a_hash_and_acts_as_its_person(session: Session) -> None:
    person = make_person(session)
    secret = create_token(session, person.id, person, "nightly", Scope.READ)
    session.flush()

    assert caller_of_token(session, secret) == Caller(person, Scope.READ)
    assert caller_of_token(session, secret + "x") is None
    ((kept, owner),) = tokens(session, owner_id=person.id)
    session.refresh(kept)
    assert owner == person.name
    assert secret.startswith(kept.prefix)
    assert secret not in (kept.prefix, kept.token_hash)
    assert kept.last_used_at is not None


def test_a_revoked_token_and_one_of_a_deactivated_person_open_nothing(session: Session) -> None:
    person, other = make_person(session), make_person(session)
    secrets = [create_token(session, None, person, f"token {number}", Scope.ADMIN) for number in range(2)]
    session.flush()
    first: ApiToken = tokens(session, owner_id=person.id)[-1][0]

    with pytest.raises(NotFound):
        revoke_token(session, other.id, first.id, owner_id=other.id)
    revoke_token(session, person.id, first.id, owner_id=person.id)
    assert caller_of_token(session, secrets[0]) is None
    assert caller_of_token(session, secrets[1]) is not None

    deactivate_person(session, None, person.id)
    assert caller_of_token(session, secrets[1]) is None
    with pytest.raises(InvalidInput, match="deactivated"):
        create_token(session, None, person, "late", Scope.READ)

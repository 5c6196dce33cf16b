"""What is typed outlives the tab and the lease, is its person's own, and goes with the decision."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.pipeline import InstanceStatus
from app.storage.tables import Draft, Instance, Lease, Person, Project
from tests.factories import make_person, make_project
from tests.review.review_cases import instances_of
from tests.review.test_the_card_works_as_plain_forms import Reader, SitDown

TYPED = {"instruction": "Say it better.", "information": "", "solution": "def better():\n    return 1\n"}


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def instance(session: Session, project: Project) -> Instance:
    return instances_of(session, project, 1)[0]


@pytest.fixture
def ada(session: Session, project: Project) -> Person:
    return make_person(session, project=project)


@pytest.fixture
def reader(client: TestClient, sit_down: SitDown, ada: Person, instance: Instance) -> Reader:
    reader = Reader(client, sit_down(ada))
    reader.page()
    return reader


def keep(reader: Reader, instance: Instance, version: int = 0, **typed: str) -> Any:
    fields = {"csrf_token": reader.csrf_token, "version": str(version)} | TYPED | typed
    headers = {"Accept": "application/json"}
    return reader.client.post(f"/review/{instance.id}/draft", data=fields, headers=headers)


def drafts(session: Session) -> list[str]:
    return [one.solution for one in session.scalars(select(Draft).execution_options(populate_existing=True))]


def test_the_card_opens_with_the_draft_and_says_so_also_after_the_lease_is_lost(
    session: Session, reader: Reader, instance: Instance
) -> None:
    kept = keep(reader, instance, solution="def mine(): ...\r\n")
    session.execute(delete(Lease))

    page = reader.page()

    assert kept.json()["version"] == 1
    assert "Your draft from" in page
    assert re.search(r"<textarea[^>]*name=\"solution\"[^>]*>\s*def mine\(\): \.\.\.\n", page)
    assert session.scalars(select(Instance.status)).one() == InstanceStatus.WAITING


def test_two_tabs_do_not_overwrite_each_other_unseen(
    session: Session, reader: Reader, instance: Instance
) -> None:
    keep(reader, instance, solution="first")

    stale = keep(reader, instance, version=0, solution="second")
    seen = keep(reader, instance, version=1, solution="third")

    assert (stale.status_code, seen.status_code) == (409, 200)
    assert "another tab" in stale.text
    assert drafts(session) == ["third"]


def test_a_decision_takes_the_draft_with_it_and_nothing_can_be_typed_after(
    session: Session, reader: Reader, instance: Instance
) -> None:
    keep(reader, instance)
    lease = session.scalars(select(Lease.token)).one()

    reader.send(f"/review/{instance.id}/decide", action="edit", lease=lease, **TYPED)
    late = keep(reader, instance)

    assert drafts(session) == []
    assert late.status_code == 409
    assert "already decided" in late.text


def test_a_skip_keeps_it_and_discarding_forgets_it(
    session: Session, reader: Reader, instance: Instance
) -> None:
    keep(reader, instance)
    lease = session.scalars(select(Lease.token)).one()

    reader.send(f"/review/{instance.id}/decide", action="skip", lease=lease, reason="unclear")
    after_skip = len(drafts(session))
    reader.send(f"/review/{instance.id}/draft/discard")

    assert (after_skip, drafts(session)) == (1, [])


def test_nobody_else_sees_it(
    session: Session, project: Project, reader: Reader, instance: Instance, sit_down: SitDown
) -> None:
    keep(reader, instance, solution="def secret(): ...")
    session.execute(delete(Lease))

    other = Reader(reader.client, sit_down(make_person(session, project=project)))

    assert "def secret" not in other.page()


def test_what_cannot_be_kept_is_refused_by_name(session: Session, reader: Reader, instance: Instance) -> None:
    answer = keep(reader, instance, solution="x" * 100_001)

    assert answer.status_code == 422
    assert "solution has 100,001 characters" in answer.text
    assert drafts(session) == []

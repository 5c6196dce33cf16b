"""What is typed outlives the tab and the lease, is its person's own, and goes with the decision."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.pipeline import Action, InstanceStatus
from app.storage.tables import Decision, Draft, Instance, Lease, Person, Project, Revision
from tests.factories import make_person, make_project
from tests.review.review_cases import PlainBrowser, decide_next, instances_of, say
from tests.review.test_the_card_works_as_plain_forms import SitDown

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
def reader(client: TestClient, sit_down: SitDown, ada: Person, instance: Instance) -> PlainBrowser:
    reader = PlainBrowser(client, sit_down(ada))
    reader.page()
    return reader


def keep(reader: PlainBrowser, instance: Instance, version: int = 0, **typed: str) -> Any:
    fields = {"csrf_token": reader.csrf_token, "version": str(version)} | TYPED | typed
    headers = {"Accept": "application/json"}
    return reader.client.post(f"/review/{instance.id}/draft", data=fields, headers=headers)


def drafts(session: Session) -> list[str]:
    return [one.solution for one in session.scalars(select(Draft).execution_options(populate_existing=True))]


def test_the_card_opens_with_the_draft_and_says_so_also_after_the_lease_is_lost(
    session: Session, reader: PlainBrowser, instance: Instance
) -> None:
    kept = keep(reader, instance, solution="def mine(): ...\r\n")
    session.execute(delete(Lease))

    page = reader.page()

    assert kept.json()["version"] == 1
    assert "Your draft from" in page
    assert re.search(r"<textarea[^>]*name=\"solution\"[^>]*>\s*def mine\(\): \.\.\.\n", page)
    assert session.scalars(select(Instance.status)).one() == InstanceStatus.WAITING


def test_two_tabs_do_not_overwrite_each_other_unseen(
    session: Session, reader: PlainBrowser, instance: Instance
) -> None:
    keep(reader, instance, solution="first")

    stale = keep(reader, instance, version=0, solution="second")
    seen = keep(reader, instance, version=1, solution="third")

    assert (stale.status_code, seen.status_code) == (409, 200)
    assert "another tab" in stale.json()["detail"]
    assert (stale.json()["other"]["version"], stale.json()["other"]["texts"]["solution"]) == (1, "first")
    assert drafts(session) == ["third"]


def test_without_a_script_a_button_saves_and_a_refusal_keeps_both_texts(
    session: Session, reader: PlainBrowser, instance: Instance
) -> None:
    assert f'formaction="/review/{instance.id}/draft"' in reader.page("/review?edit=1")
    address = f"/review/{instance.id}/draft"

    saved = reader.send(address, **TYPED | {"solution": "first"})
    refused = reader.send(address, **TYPED | {"solution": "second"})
    on_purpose = reader.send(address, version="1", **TYPED | {"solution": "second"})

    assert (saved.status_code, saved.headers["location"]) == (303, "/review")
    assert refused.status_code == 409
    assert "Load the other tab's text</a>" in refused.text
    assert re.search(r"<textarea[^>]*name=\"solution\"[^>]*>\nsecond</textarea>", refused.text)
    assert 'name="version" value="1"' in refused.text
    assert on_purpose.status_code == 303
    assert drafts(session) == ["second"]


def test_a_text_that_began_with_an_older_revision_says_so(
    session: Session, reader: PlainBrowser, instance: Instance
) -> None:
    keep(reader, instance, revision="0")
    instance.revision = 1
    session.add(Revision(instance_id=instance.id, number=0, instruction="", information="", solution=""))
    session.flush()

    page = reader.page()

    assert "It began with revision 0, the instance is at 1 now" in page
    assert 'name="revision" value="0"' in page


def test_when_somebody_else_decides_its_author_can_still_copy_it(
    session: Session, project: Project, reader: PlainBrowser, instance: Instance
) -> None:
    keep(reader, instance, solution="def mine(): ...")
    session.execute(delete(Lease))
    decide_next(session, project, make_person(session, project=project), say(Action.ACCEPT))

    page = reader.page(f"/instances/{instance.id}")
    assert "kept: the instance was decided without it" in page
    assert 'data-copy="#draft-solution"' in page

    discarded = reader.send(f"/review/{instance.id}/draft/discard")
    assert discarded.headers["location"] == f"/instances/{instance.id}"
    assert drafts(session) == []


def test_a_decision_takes_the_draft_with_it_and_nothing_can_be_typed_after(
    session: Session, reader: PlainBrowser, instance: Instance
) -> None:
    keep(reader, instance)
    lease = session.scalars(select(Lease.token)).one()

    reader.send(f"/review/{instance.id}/decide", action="edit", lease=lease, **TYPED)
    late = keep(reader, instance)
    assert drafts(session) == []
    assert late.status_code == 409
    assert "already decided" in late.text

    reader.send(f"/review/undo/{session.scalars(select(Decision.id)).one()}")
    assert drafts(session) == []
    assert "Your draft from" not in reader.page()


def test_a_skip_keeps_it_and_discarding_forgets_it(
    session: Session, reader: PlainBrowser, instance: Instance
) -> None:
    keep(reader, instance)
    lease = session.scalars(select(Lease.token)).one()

    reader.send(f"/review/{instance.id}/decide", action="skip", lease=lease, reason="unclear")
    after_skip = len(drafts(session))
    reader.send(f"/review/{instance.id}/draft/discard")

    assert (after_skip, drafts(session)) == (1, [])


def test_nobody_else_sees_it(
    session: Session, project: Project, reader: PlainBrowser, instance: Instance, sit_down: SitDown
) -> None:
    keep(reader, instance, solution="def secret(): ...")
    session.execute(delete(Lease))

    other = PlainBrowser(reader.client, sit_down(make_person(session, project=project)))

    assert "def secret" not in other.page()
    assert "def secret" not in other.page(f"/instances/{instance.id}")


def test_what_cannot_be_kept_is_refused_by_name(
    session: Session, reader: PlainBrowser, instance: Instance
) -> None:
    answer = keep(reader, instance, solution="x" * 100_001)

    assert answer.status_code == 422
    assert "solution has 100,001 characters" in answer.text
    assert drafts(session) == []


def test_only_a_reader_of_the_project_saves_and_only_from_our_own_page(
    session: Session, project: Project, reader: PlainBrowser, instance: Instance, sit_down: SitDown
) -> None:
    (elsewhere,) = instances_of(session, make_project(session), 1)
    assert keep(reader, elsewhere).status_code == 404
    assert keep(reader, instance, csrf_token="made up").status_code == 403

    viewer = PlainBrowser(reader.client, sit_down(make_person(session, "viewer", project)))
    assert keep(viewer, instance).status_code == 403
    assert drafts(session) == []

"""Whoever has a draw in hand learns nothing of what a machine or a person said about it, wherever they look."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.pipeline import Action, AuditState, Scope
from app.review.adjudication import newest_answer
from app.review.decision_queries import deciding, opinions, reasons_given, recent_decisions
from app.review.filters import Filters, instance_rows
from app.review.history import Viewer, instance_detail
from app.review.work_queue import progress
from app.storage.tables import Audit, Evidence, Instance, Person, Project
from tests.factories import make_person, make_project
from tests.review.audit_cases import DEFECT, OK, answer, draw_for, lot_of, make_audit, read_next
from tests.review.review_cases import LEAD, decide_next, judged, say

ActingAs = Callable[..., TestClient]


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def ada(session: Session, project: Project) -> Person:
    return make_person(session, project=project)


@pytest.fixture
def bob(session: Session, project: Project) -> Person:
    return make_person(session, project=project)


@pytest.fixture
def audit(session: Session, project: Project, bob: Person) -> Audit:
    """Its first instance failed a rule, has evidence against it and was edited by Bob since the freeze."""
    audit = make_audit(session, project, 3, twice=(1,))
    first = lot_of(session, audit)[0]
    judged(session, first)
    session.add(Evidence(instance_id=first.id, revision=0, kind="parses", result="fail", detail="line 1"))
    decide_next(
        session, project, bob, say(Action.EDIT, edits={"solution": "since then\n"}, note="Bob was here")
    )
    return audit


def _first(session: Session, audit: Audit) -> Instance:
    return lot_of(session, audit)[0]


def test_a_draw_comes_as_it_was_frozen_and_without_what_was_said_about_it(
    session: Session, audit: Audit, project: Project, ada: Person, acting_as: ActingAs
) -> None:
    client = acting_as(ada)

    asked = {"stream": "audit", "audit_id": audit.id}
    card = client.post(f"/api/v1/projects/{project.slug}/review/next", json=asked)

    given, first = card.json()["instance"], _first(session, audit)
    assert card.json()["draw"] == {"audit_id": audit.id, "part": "random", "position": 1}
    assert (given["id"], given["revision"], given["status"]) == (first.id, 0, "waiting")
    assert given["solution"].startswith("def add_")
    assert (given["verdict"], given["evidence"], given["decisions"], given["calls"]) == (None, [], [], [])
    assert [one["number"] for one in given["revisions"]] == [0]
    for told in ("since then", "Bob was here", bob_s_name(session, audit), "solves_it", "line 1", "accepted"):
        assert told not in card.text
    # The same instance by its number tells no more.
    again = client.get(f"/api/v1/instances/{first.id}").json()
    assert again == given


def bob_s_name(session: Session, audit: Audit) -> str:
    return instance_detail(session, _first(session, audit).id, LEAD).decisions[0].person


def test_a_list_hides_it_and_a_filter_does_not_give_it_away(
    session: Session, audit: Audit, project: Project, ada: Person, acting_as: ActingAs
) -> None:
    first = _first(session, audit)
    draw_for(session, audit, ada)
    client = acting_as(ada, Scope.READ)
    address = f"/api/v1/projects/{project.slug}/instances"

    line = client.get(address).json()["items"][0]
    assert (line["id"], line["verdict"], line["status"]) == (first.id, None, "waiting")
    for told in ("verdict=fail", "status=accepted"):
        assert client.get(f"{address}?{told}").json()["items"] == []
    rows = instance_rows(session, project.id, Filters(verdict="fail"), after=0, limit=9)
    assert [row.verdict for row in rows] == ["fail"]  # to everybody else


def test_once_it_is_answered_the_reader_sees_what_was_hidden(
    session: Session, audit: Audit, ada: Person
) -> None:
    draw = read_next(session, audit, ada)

    detail = instance_detail(
        session, draw.row.instance_id, Viewer(ada.name, is_admin=False, person_id=ada.id)
    )

    assert detail.verdict is not None
    assert detail.evidence
    assert detail.solution == "since then\n"


def test_what_others_answered_is_hidden_from_readers_while_the_audit_is_open(
    session: Session, audit: Audit, ada: Person
) -> None:
    draw = draw_for(session, audit, ada)
    answer(session, ada, draw, OK)
    cem = Viewer("cem", is_admin=False, person_id=0)

    def readers_seen_by(viewer: Viewer) -> list[str]:
        found = instance_detail(session, draw.row.instance_id, viewer).decisions
        return [one.person for one in found if one.audit_id]

    assert readers_seen_by(cem) == []
    assert readers_seen_by(Viewer(ada.name, is_admin=False, person_id=ada.id)) == [ada.name]
    assert readers_seen_by(LEAD) == [ada.name]
    audit.state = AuditState.CERTIFIED
    session.flush()
    assert readers_seen_by(cem) == []  # its second reader has not read it
    audit.state = AuditState.ABANDONED
    session.flush()
    assert readers_seen_by(cem) == [ada.name]


def test_what_is_said_in_an_audit_counts_nowhere_in_the_work_stream(
    session: Session, project: Project, ada: Person
) -> None:
    audit = make_audit(session, project, 3)
    first = _first(session, audit)
    before = progress(session, project.id, ada.id)

    read_next(session, audit, ada, DEFECT)

    assert progress(session, project.id, ada.id) == before
    assert recent_decisions(session, project.id, ada.id, 10) == []
    assert reasons_given(session, project.id) == []
    assert (deciding(session, first.id), opinions(session, first), newest_answer(session, first.id)) == (
        None,
        [],
        0,
    )
    found = instance_rows(session, project.id, Filters(reason="incorrect"), after=0, limit=9)
    assert found == []

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.pipeline import Scope
from app.storage.tables import Audit, Person, Project
from tests.factories import make_person, make_project
from tests.review.audit_cases import DEFECT, OK, make_audit, read_next

ActingAs = Callable[..., TestClient]


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def audit(session: Session, project: Project) -> Audit:
    return make_audit(session, project, 3, twice=(1,))


@pytest.fixture
def ada(session: Session, project: Project) -> Person:
    return make_person(session, project=project)


def _next(client: TestClient, project: Project, **asked: Any) -> Any:
    return client.post(f"/api/v1/projects/{project.slug}/review/next", json={"stream": "audit", **asked})


def test_a_script_reads_a_draw_and_its_answer_stands(
    project: Project, audit: Audit, ada: Person, acting_as: ActingAs
) -> None:
    client = acting_as(ada)
    card = _next(client, project).json()
    address = f"/api/v1/instances/{card['instance']['id']}/decisions"
    asked = {"action": "accept", "lease": card["lease"]["token"]}

    assert client.post(address, json=asked).json()["errors"][0]["field"] == "defect"
    skipped = client.post(address, json=asked | {"action": "skip", "reason": "unclear"})
    assert skipped.status_code == 409
    decided = client.post(address, json=asked | {"defect": False}, headers={"Idempotency-Key": "one"})
    assert decided.status_code == 201
    assert {name: decided.json()[name] for name in ("stream", "audit_id", "defect", "action")} == {
        "stream": "audit",
        "audit_id": audit.id,
        "defect": False,
        "action": "accept",
    }
    again = client.post(address, json=asked | {"defect": False}, headers={"Idempotency-Key": "one"})
    assert again.json() == decided.json()
    assert client.post(address, json=asked | {"defect": False}).status_code == 409
    assert client.post(f"/api/v1/decisions/{decided.json()['id']}/undo").status_code == 409


def test_defect_is_asked_in_an_audit_only(
    project: Project, audit: Audit, ada: Person, acting_as: ActingAs
) -> None:
    client = acting_as(ada)
    card = client.post(f"/api/v1/projects/{project.slug}/review/next").json()
    address = f"/api/v1/instances/{card['instance']['id']}/decisions"

    refused = client.post(
        address, json={"action": "accept", "lease": card["lease"]["token"], "defect": False}
    )

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "defect")
    assert card["draw"] is None


def test_a_request_that_makes_no_sense_names_the_field(
    project: Project, audit: Audit, ada: Person, acting_as: ActingAs
) -> None:
    client = acting_as(ada)

    filtered = _next(client, project, filters={"language": "python"})
    assert (filtered.status_code, filtered.json()["errors"][0]["field"]) == (422, "filters")
    in_work = client.post(f"/api/v1/projects/{project.slug}/review/next", json={"audit_id": audit.id})
    assert (in_work.status_code, in_work.json()["errors"][0]["field"]) == (422, "audit_id")
    assert _next(client, project, audit_id=audit.id + 1000).status_code == 404


def test_no_draw_answers_204_with_its_reason(
    session: Session, project: Project, ada: Person, acting_as: ActingAs
) -> None:
    client = acting_as(ada)
    nothing = _next(client, project)
    assert (nothing.status_code, nothing.headers["X-Reason"]) == (204, "empty")
    audit = make_audit(session, project, 2, twice=(1,))
    for _ in range(2):
        read_next(session, audit, ada)

    nothing = _next(client, project)

    assert nothing.headers["X-Reason"] == "waiting"
    assert "1 draw that you have read for a second reader" in nothing.headers["X-Reason-Text"]


def test_labels_are_changed_by_administrators_of_the_project(
    session: Session, project: Project, audit: Audit, ada: Person, acting_as: ActingAs
) -> None:
    bob, lead = make_person(session, project=project), make_person(session, "admin", project)
    instance_id = read_next(session, audit, ada, OK).row.instance_id
    read_next(session, audit, bob, DEFECT)
    address, asked = f"/api/v1/audits/{audit.id}/adjudications", {"instance_id": instance_id, "defect": False}

    assert acting_as(ada).post(address, json=asked).status_code == 403
    stranger = make_person(session, "admin", make_project(session))
    assert acting_as(stranger, Scope.ADMIN).post(address, json=asked).status_code == 404
    client = acting_as(lead, Scope.ADMIN)
    changed = client.post(address, json=asked | {"note": "Zero is allowed."})
    assert changed.status_code == 201
    assert {name: changed.json()[name] for name in ("person", "before", "after", "why", "note", "state")} == {
        "person": lead.name,
        "before": True,
        "after": False,
        "why": "adjudicated",
        "note": "Zero is allowed.",
        "state": "open",
    }
    assert client.post(address, json=asked).status_code == 409

    found = f"/api/v1/audits/{audit.id}/defects"
    later = client.post(found, json={"instance_id": instance_id, "note": "It fails for -1."})
    assert (later.status_code, later.json()["why"], later.json()["state"]) == (201, "found later", "failed")
    assert client.post(found, json={"instance_id": instance_id, "note": "Again."}).status_code == 409
    assert client.post(found, json={"instance_id": 10**9, "note": "Where?"}).status_code == 404

"""The whole way over REST: freeze, read draw by draw with two readers, cut the release, verify its folder."""

from itertools import cycle
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.export import service
from app.export.service import build_release
from app.export.verify import verify
from app.pipeline import Scope
from app.storage.tables import Project, Run
from tests.audit.lots import make_instances
from tests.factories import make_person, make_project
from tests.web.clients import application_on, with_token


@pytest.fixture
def app(session: Session) -> FastAPI:
    return application_on(session)


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def read_next(reader: TestClient, project: Project, audit_id: int, **answer: Any) -> bool:
    """Answer the next draw that this reader is given; False where there is none for them."""
    asked = {"stream": "audit", "audit_id": audit_id}
    card = reader.post(f"/api/v1/projects/{project.slug}/review/next", json=asked)
    if card.status_code == 204:
        return False
    given = {"action": "accept", "defect": False} | answer
    if given["action"] == "edit":
        given["edits"] = {"instruction": card.json()["instance"]["instruction"] + " Mind the sign."}
    decided = reader.post(
        f"/api/v1/instances/{card.json()['instance']['id']}/decisions",
        json=given | {"lease": card.json()["lease"]["token"]},
    )
    assert decided.status_code == 201, decided.text
    return True


def test_from_a_frozen_lot_to_a_release_that_proves_itself(
    session: Session, project: Project, app: FastAPI
) -> None:
    make_instances(session, project, 40)
    admin = with_token(app, session, make_person(session, role="admin"), Scope.ADMIN)
    readers = [
        with_token(app, session, make_person(session, project=project), Scope.REVIEW) for _ in range(2)
    ]
    here = f"/api/v1/projects/{project.slug}"

    audit = admin.post(
        f"{here}/audits", json={"max_defect_rate": 0.25, "alpha": 0.05, "double_share": 0.3}
    ).json()
    refused = admin.post(f"{here}/releases", json={"name": "first", "basis": "audited"})
    read_next(readers[0], project, audit["id"], action="edit", defect=True, reason="incorrect")
    read_next(readers[0], project, audit["id"], action="reject", defect=True, reason="incorrect")
    for reader in cycle(readers):
        if admin.get(f"/api/v1/audits/{audit['id']}").json()["state"] == "certified":
            break
        read_next(reader, project, audit["id"])
    started = admin.post(f"{here}/releases", json={"name": "first", "basis": "audited"})
    for _ in build_release(session, session.get_one(Run, started.json()["id"])):
        session.flush()

    assert (refused.status_code, "more reviews" in refused.json()["detail"]) == (409, True)
    assert started.status_code == 202
    manifest = admin.get(f"{here}/releases/first").json()
    found = verify(service.folder_of(project, service.queries.latest_release(session, project.id)))
    assert found.problems == []
    assert found.certificate is not None
    assert manifest["certificate"]["sha256"] == found.certificate["sha256"]
    assert manifest["audit"]["corrected"] + manifest["audit"]["removed"] >= 1
    assert manifest["rows"] == found.certificate["rows_released"]
    listed = admin.get(f"{here}/releases").json()["items"]
    assert [(one["basis"], one["audit_id"]) for one in listed] == [("audited", audit["id"])]
    certificate = admin.get(f"{here}/releases/first/files/certificate.json")
    assert certificate.json() == found.certificate
    assert admin.get(f"{here}/quality").json()["audit"]["state"] == "certified"

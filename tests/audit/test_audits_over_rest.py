"""POST, look, list and abandon: what scripts see of an audit."""

import numpy as np
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.guarantee.sequential import Test, prior_for, upper_bounds
from app.pipeline import AuditState, Part, Scope
from app.storage.tables import Audit, LabelChange, Person, Project
from tests.audit.lots import lot_of, make_audit, make_instances, read, read_all
from tests.factories import make_person, make_project
from tests.web.clients import with_token

ASKED = {"max_defect_rate": 0.02, "alpha": 0.05}


def address(project: Project) -> str:
    return f"/api/v1/projects/{project.slug}/audits"


def admin(session: Session) -> Person:
    return make_person(session, role="admin")


def test_a_post_freezes_a_lot_and_says_where_it_is(session: Session, project: Project, app: FastAPI) -> None:
    instances = make_instances(session, project, 200)
    client = with_token(app, session, admin(session), Scope.ADMIN)

    answer = client.post(
        address(project), json=ASKED | {"filters": {"runs": [instances[0].run_id]}, "attempts": 2}
    )

    audit = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/audits/{audit['id']}"
    assert client.get(answer.headers["Location"]).json() == audit
    expected = {
        "project": project.slug,
        "state": "open",
        "filters": {"runs": [instances[0].run_id]},
        "census": "none",
        "rows": 200,
        "census_rows": 0,
        "dropped_rows": 0,
        "alpha_used": 0.025,
        "attempts": 2,
        "attempt": 1,
        "first": True,
        "earlier_audits": [],
        "prior": {"a": 0.25, "b": 49.75},
        "double_share": 0.1,
        "draws": 0,
        "defects": 0,
        "tolerance": 4,
        "certified_at": None,
        "upper_bound": 200,
        "upper_bounds": [],
        "census_read": 0,
    }
    assert {name: audit[name] for name in expected} == expected
    assert len(audit["seed"]) == len(audit["lot_sha256"]) == len(audit["order_sha256"]) == 64
    assert audit["expected_draws_left"] > 50
    assert audit["fixed_plans"][0]["defects_allowed"] == 0


def test_what_cannot_be_is_a_422_with_its_field(session: Session, project: Project, app: FastAPI) -> None:
    make_instances(session, project, 1)
    client = with_token(app, session, admin(session), Scope.ADMIN)

    wrong = client.post(address(project), json=ASKED | {"alpha": 0})
    unknown = client.post(address(project), json=ASKED | {"mood": 1})
    empty = client.post(address(project), json=ASKED | {"filters": {"tasks": ["repair"]}})

    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "alpha")
    assert unknown.status_code == 422
    assert empty.status_code == 409
    assert session.scalar(select(func.count()).select_from(Audit)) == 0


def test_the_same_post_under_a_key_freezes_once(session: Session, project: Project, app: FastAPI) -> None:
    make_instances(session, project, 3)
    client = with_token(app, session, admin(session), Scope.ADMIN)
    headers = {"Idempotency-Key": "freeze"}

    one = client.post(address(project), json=ASKED, headers=headers)
    other = client.post(address(project), json=ASKED, headers=headers)

    assert (other.status_code, other.json()) == (201, one.json())
    assert other.headers["Location"] == one.headers["Location"]
    assert session.scalar(select(func.count()).select_from(Audit)) == 1


def test_only_admins_freeze_and_abandon_and_strangers_know_nothing(
    session: Session, project: Project, app: FastAPI
) -> None:
    make_instances(session, project, 1)
    audit = make_audit(session, project)
    here, body = f"/api/v1/audits/{audit.id}", {"why": "no"}

    client = with_token(app, session, make_person(session, project=project), Scope.ADMIN)
    assert client.get(here).status_code == 200
    assert client.post(address(project), json=ASKED).status_code == 403
    assert client.post(f"{here}/abandon", json=body).status_code == 403
    client = with_token(app, session, admin(session), Scope.READ)
    assert client.post(f"{here}/abandon", json=body).status_code == 403
    client = with_token(app, session, make_person(session, project=make_project(session)), Scope.ADMIN)
    assert client.get(here).status_code == client.post(f"{here}/abandon", json=body).status_code == 404
    assert client.get("/api/v1/audits/999999999").status_code == 404


def test_it_tells_how_far_it_is_as_labels_come_in(session: Session, project: Project, app: FastAPI) -> None:
    make_instances(session, project, 100)
    audit = make_audit(session, project, max_defect_rate=0.1)
    rows = lot_of(session, audit)
    read_all(session, audit, [*rows[:4], rows[9]])
    read(session, audit, rows[4], defect=True)

    seen = with_token(app, session, admin(session), Scope.ADMIN).get(f"/api/v1/audits/{audit.id}").json()

    labels = np.array([False] * 4 + [True])
    bounds = upper_bounds(labels, Test(100, 10, 0.05, prior_for(0.1))).tolist()
    assert (seen["draws"], seen["defects"], seen["upper_bounds"]) == (5, 1, bounds)
    assert seen["upper_bound"] == bounds[-1]
    assert seen["reviews_left"] == int(np.ceil(seen["expected_draws_left"])) - 1


def test_second_readings_tell_how_much_readers_miss(session: Session, project: Project, app: FastAPI) -> None:
    make_instances(session, project, 6)
    audit = make_audit(session, project, max_defect_rate=0.9, double_share=1)
    missed, found, both_ok, disputed, half, _ = lot_of(session, audit)
    judge = make_person(session, project=project)
    for row, labels in (
        (missed, (0, 1)),
        (found, (1, 1)),
        (both_ok, (0, 0)),
        (disputed, (1, 0)),
        (half, (0,)),
    ):
        for label in labels:
            read(session, audit, row, defect=bool(label))
    session.add(
        LabelChange(
            audit_id=audit.id,
            instance_id=missed.instance_id,
            person_id=judge.id,
            before=True,
            after=True,
            why="adjudicated",
        )
    )
    session.flush()

    readings = (
        with_token(app, session, admin(session), Scope.ADMIN)
        .get(f"/api/v1/audits/{audit.id}")
        .json()["readings"]
    )

    limit = readings.pop("miss_rate_limit")
    assert readings == {
        "twice": 5,
        "second_done": 4,
        "disagreements_open": 1,
        "found_again": 2,
        "missed": 1,
    }
    assert 0.9 < limit < 1


def test_the_tolerance_is_known_once_the_census_is_complete(
    session: Session, project: Project, app: FastAPI
) -> None:
    make_instances(session, project, 8)
    make_instances(session, project, 2, verdict="fail")
    audit = make_audit(session, project, max_defect_rate=0.3, census="read")
    client, here = with_token(app, session, admin(session), Scope.ADMIN), f"/api/v1/audits/{audit.id}"
    one, other = lot_of(session, audit, Part.CENSUS)

    read(session, audit, one, defect=True)
    half = client.get(here).json()
    read(session, audit, other)
    whole = client.get(here).json()

    assert (half["tolerance"], half["census_read"]) == (None, 1)
    assert (whole["tolerance"], whole["census_read"]) == (2, 2)  # 30 % of the 9 rows that stay


def test_the_list_has_the_newest_first(session: Session, project: Project, app: FastAPI) -> None:
    make_instances(session, project, 2)
    audits = [make_audit(session, project).id for _ in range(3)]
    make_audit(session, project_with_rows(session))
    client = with_token(app, session, admin(session), Scope.ADMIN)

    first = client.get(address(project), params={"limit": 2}).json()
    rest = client.get(address(project), params={"limit": 2, "cursor": first["next"]}).json()

    assert [one["id"] for one in (*first["items"], *rest["items"])] == audits[::-1]
    assert rest["next"] is None
    assert [one["first"] for one in first["items"]] == [False, False]
    whole = client.get(f"/api/v1/audits/{audits[2]}").json()
    assert [(one["id"], one["shared_rows"]) for one in whole["earlier_audits"]] == [
        (audits[0], 2),
        (audits[1], 2),
    ]


def project_with_rows(session: Session) -> Project:
    project = make_project(session)
    make_instances(session, project, 1)
    return project


def test_an_abandoned_audit_stays_on_record_with_its_reason(
    session: Session, project: Project, app: FastAPI
) -> None:
    make_instances(session, project, 2)
    audit = make_audit(session, project)
    client, here = with_token(app, session, admin(session), Scope.ADMIN), f"/api/v1/audits/{audit.id}"

    empty = client.post(f"{here}/abandon", json={"why": " "})
    answer = client.post(f"{here}/abandon", json={"why": "The wrong filter"})
    again = client.post(f"{here}/abandon", json={"why": "The wrong filter"})

    assert (empty.status_code, empty.json()["errors"][0]["field"]) == (422, "why")
    assert (answer.json()["state"], answer.json()["why_closed"]) == ("abandoned", "The wrong filter")
    assert answer.json()["closed_at"] is not None
    assert again.status_code == 409
    assert make_audit(session, project).attempt == 2
    assert audit.state == AuditState.ABANDONED

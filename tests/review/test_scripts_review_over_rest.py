from collections.abc import Callable

from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.pipeline import Action, Scope, Verdict
from app.storage.tables import Person
from tests.factories import make_person, make_project
from tests.review.review_cases import decide_next, instances_of, judged, say

ActingAs = Callable[..., TestClient]


def test_a_script_reads_the_next_instance_decides_and_takes_it_back(
    session: Session, acting_as: ActingAs
) -> None:
    project, ada = make_project(session), make_person(session)
    (instance,) = instances_of(session, project, 1)
    judged(session, instance)
    client = acting_as(ada)

    card = client.post(f"/api/v1/projects/{project.slug}/review/next").json()
    assert card["instance"]["id"] == instance.id
    assert card["instance"]["snippet"]["license"] == "MIT"
    assert card["instance"]["verdict"]["rules"][0] == {
        "rule": "solves_it",
        "text": "The rule solves_it holds.",
        "required": True,
        "checked_by": "model",
        "answer": "no",
        "reason": "It returns nothing.",
    }

    decided = client.post(
        f"/api/v1/instances/{instance.id}/decisions",
        json={"action": "edit", "lease": card["lease"]["token"], "edits": {"information": "x = 1"}},
    )
    assert decided.status_code == 201
    assert (decided.json()["person"], decided.json()["new_revision"]) == (ada.name, 1)

    undone = client.post(f"/api/v1/decisions/{decided.json()['id']}/undo")
    assert undone.json()["undone_at"] is not None
    assert client.get(f"/api/v1/instances/{instance.id}").json()["status"] == "waiting"


def test_an_empty_queue_answers_204_with_its_reason(session: Session, acting_as: ActingAs) -> None:
    project = make_project(session)
    instances_of(session, project, 1)
    client = acting_as(make_person(session))

    answer = client.post(
        f"/api/v1/projects/{project.slug}/review/next", json={"filters": {"language": "ruby"}}
    )

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["X-Reason"] == "filtered"
    assert answer.headers["X-Reason-Text"] == "Your filter hides 1 instance that could be read"


def test_a_refused_decision_names_the_field_and_lists_the_reasons(
    session: Session, acting_as: ActingAs
) -> None:
    project, ada = make_project(session, reasons=["too_easy", "other"]), make_person(session)
    (instance,) = instances_of(session, project, 1)
    client = acting_as(ada)
    token = client.post(f"/api/v1/projects/{project.slug}/review/next").json()["lease"]["token"]
    address = f"/api/v1/instances/{instance.id}/decisions"

    refused = client.post(address, json={"action": "reject", "lease": token, "reason": "ugly"})
    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {"field": "reason", "detail": "'ugly' is not a reason of this project. Its reasons: too_easy, other"}
    ]

    lost = client.post(address, json={"action": "accept", "lease": "not mine"})
    assert lost.status_code == 409


def test_the_same_decision_sent_twice_under_one_key_is_stored_once(
    session: Session, acting_as: ActingAs
) -> None:
    project, ada = make_project(session), make_person(session)
    (instance,) = instances_of(session, project, 1)
    client = acting_as(ada)
    token = client.post(f"/api/v1/projects/{project.slug}/review/next").json()["lease"]["token"]

    answers = [
        client.post(
            f"/api/v1/instances/{instance.id}/decisions",
            json={"action": "accept", "lease": token},
            headers={"Idempotency-Key": "once"},
        )
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


def test_a_list_is_filtered_paged_and_light(session: Session, acting_as: ActingAs) -> None:
    project = make_project(session)
    rows = instances_of(session, project, 3)
    rows[0].verdict = rows[2].verdict = Verdict.PASS
    rows[2].instruction = "Compute 5% of a_b."
    client = acting_as(make_person(session, "viewer"), Scope.READ)
    address = f"/api/v1/projects/{project.slug}/instances"

    first = client.get(address, params={"verdict": "pass", "limit": 1}).json()
    second = client.get(address, params={"verdict": "pass", "limit": 1, "cursor": first["next"]}).json()
    assert [first["items"][0]["id"], second["items"][0]["id"]] == [rows[0].id, rows[2].id]
    assert second["next"] is None
    assert "solution" not in first["items"][0]

    for text, found in (("5%", 1), ("a_b", 1), ("aXb", 0), ("MODULE.py", 3), ("\\", 0)):
        assert len(client.get(address, params={"q": text}).json()["items"]) == found, text
    assert [one["id"] for one in client.get(address, params={"q": "Add one to"}).json()["items"]] == [
        row.id
        for row in rows  # in the comments of their snippets
    ]
    second = client.get(address, params={"q": "add ONE", "verdict": "pass", "limit": 1}).json()
    assert (second["items"][0]["id"], second["next"] is None) == (rows[0].id, False)
    third = client.get(
        address, params={"q": "add ONE", "verdict": "pass", "limit": 1, "cursor": second["next"]}
    ).json()
    assert [one["id"] for one in third["items"]] == [rows[2].id]
    assert client.get(address, params={"status": "done"}).status_code == 422


def test_who_may_read_may_not_decide_and_strangers_see_nothing(session: Session, acting_as: ActingAs) -> None:
    project, other = make_project(session), make_project(session)
    (instance,) = instances_of(session, project, 1)
    reader = make_person(session, "viewer", project)
    stranger: Person = make_person(session, "admin", other)
    decision = decide_next(session, project, make_person(session), say(Action.SKIP, reason="other"))
    body = {"action": "accept", "lease": "x"}

    client = acting_as(reader)
    assert client.get(f"/api/v1/instances/{instance.id}").status_code == 200
    assert client.post(f"/api/v1/instances/{instance.id}/decisions", json=body).status_code == 403
    assert client.post(f"/api/v1/projects/{project.slug}/review/next").status_code == 403

    client = acting_as(stranger)
    assert client.get(f"/api/v1/instances/{instance.id}").status_code == 404
    assert client.post(f"/api/v1/instances/{instance.id}/decisions", json=body).status_code == 404
    assert client.post(f"/api/v1/decisions/{decision.id}/undo").status_code == 404
    assert client.post(f"/api/v1/projects/{project.slug}/review/next").status_code == 404
    unknown = client.get(f"/api/v1/instances/{instance.id + 10_000}").json()["detail"]
    assert unknown == f"there is no instance {instance.id + 10_000}"

"""What a generation costs and decides is seen, and its budget, priority and failed items are in people's hands."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.engine.calls import count_calls
from app.engine.closing import close, fail, finish
from app.engine.handlers import Ending
from app.engine.items import claim
from app.pipeline import InstanceStatus, ItemState, Outcome, RunState, Scope, Stage
from app.storage.tables import Decision, Instance, Price, Project, Run, WorkItem
from tests.factories import (
    make_call,
    make_instance,
    make_item,
    make_person,
    make_pick,
    make_project,
    make_run,
)
from tests.web.clients import application_on, signed_in, with_token


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def client(session: Session, project: Project) -> TestClient:
    return with_token(application_on(session), session, make_person(session, "admin", project), Scope.ADMIN)


@pytest.fixture
def run(session: Session, project: Project) -> Run:
    """Of three: one passed, one could not be used, one failed without a reply."""
    run = make_run(
        session,
        project,
        total=3,
        params={"generator": "test", "discriminator": "test", "seed": 3},
        cost_micro=300,
        reserved_micro=50,
    )
    for _ in range(3):
        instance = make_instance(session, make_pick(session), run, status=InstanceStatus.UNUSABLE)
        make_item(session, instance, Stage.GENERATE)
    passed, unusable, error = sorted(claim(session, [Stage.GENERATE], 3, "test"), key=lambda item: item.id)
    calls = [
        make_call(session, passed, "{}", prompt_tokens=100, completion_tokens=50, cost_micro=300),
        make_call(session, unusable, "I would rather not", usable=False),
        make_call(session, error, "", state="unknown", reserved_micro=50, error_code="timeout"),
    ]
    count_calls(session, calls)
    close(
        session,
        [
            finish(passed, Ending(outcome=Outcome.PASSED)),
            finish(unusable, Ending(outcome=Outcome.UNUSABLE), why=("unparsable", "no JSON")),
            fail(error, "context_length_exceeded", "too long"),
        ],
    )
    session.commit()
    return run


def address(project: Project, run: Run, step: str = "") -> str:
    return f"/api/v1/projects/{project.slug}/runs/{run.id}{step}"


def test_its_costs_are_told_by_stage_and_for_each_good_instance(
    client: TestClient, session: Session, project: Project, run: Run
) -> None:
    accepted = session.scalars(select(Instance).where(Instance.run_id == run.id)).first()
    assert accepted is not None
    accepted.status = InstanceStatus.ACCEPTED
    session.commit()

    answer = client.get(address(project, run, "/costs")).json()
    calls = client.get(address(project, run)).json()["calls"]

    assert {(row["state"], row["calls"], row["prompt_tokens"]) for row in answer["spend"]} == {
        ("done", 2, 100),
        ("unknown", 1, 0),
    }
    assert (answer["per_passed_usd"], answer["accepted"], answer["per_accepted_usd"]) == (0.0003, 1, 0.0003)
    assert calls == {"done": 2, "unknown": 1}


def test_what_went_wrong_is_listed_with_its_raw_reply_page_by_page(
    client: TestClient, project: Project, run: Run
) -> None:
    answer = client.get(address(project, run, "/items?outcome=unusable&limit=1")).json()
    error = client.get(address(project, run, "/items?outcome=error")).json()["items"]

    assert [(item["reply"], item["error_code"]) for item in answer["items"]] == [
        ("I would rather not", "unparsable")
    ]
    assert answer["next"] is None
    assert error[0]["call_state"] == "unknown"
    assert client.get(address(project, run, "/items?outcome=nonsense")).status_code == 422


def test_its_budget_cannot_be_below_what_is_promised_and_needs_prices(
    client: TestClient, session: Session, project: Project, run: Run
) -> None:
    unpriced = client.post(address(project, run, "/budget"), json={"budget_usd": 5})
    session.add(Price(model="test", input_micro=1, output_micro=1))
    session.commit()
    too_low = client.post(address(project, run, "/budget"), json={"budget_usd": 0.0003})
    good = client.post(address(project, run, "/budget"), json={"budget_usd": 5})
    lifted = client.post(address(project, run, "/budget"), json={"budget_usd": None})

    assert (unpriced.status_code, too_low.status_code) == (409, 409)
    assert "price of test" in unpriced.json()["detail"]
    assert "0.00035" in too_low.json()["detail"]
    assert (good.json()["budget_usd"], lifted.json()["budget_usd"]) == (5, None)
    assert client.post(address(project, run, "/budget"), json={"budget_usd": -1}).status_code == 422


def test_its_priority_is_one_of_three(client: TestClient, project: Project, run: Run) -> None:
    assert (
        client.post(address(project, run, "/priority"), json={"priority": "high"}).json()["priority"]
        == "high"
    )
    assert client.post(address(project, run, "/priority"), json={"priority": "urgent"}).status_code == 422


def test_failed_items_are_read_again_or_asked_again_and_the_run_goes_on(
    client: TestClient, session: Session, project: Project, run: Run
) -> None:
    run.state = RunState.COMPLETED_WITH_ERRORS
    session.commit()
    without_reply = client.post(address(project, run, "/retry"), json={"outcome": "error", "how": "reparse"})
    answer = client.post(
        address(project, run, "/retry"), json={"outcome": "unusable", "how": "reparse"}
    ).json()
    again = client.post(address(project, run, "/retry"), json={"outcome": "error", "how": "ask"}).json()

    assert without_reply.status_code == 409
    assert (answer["state"], answer["done"]) == ("queued", {"passed": 1, "error": 1})
    assert (again["done"], again["pending"]) == ({"passed": 1}, 2)
    waiting = session.scalars(select(WorkItem).where(WorkItem.state == ItemState.PENDING)).all()
    assert sorted(item.reparse for item in waiting) == [False, True]
    assert (
        client.post(address(project, run, "/retry"), json={"outcome": "passed", "how": "ask"}).status_code
        == 422
    )


def test_what_a_person_decided_on_is_never_retried(
    client: TestClient, session: Session, project: Project, run: Run
) -> None:
    item = session.scalars(select(WorkItem).where(WorkItem.outcome == Outcome.UNUSABLE)).one()
    reader = make_person(session, "annotator", project)
    session.add(
        Decision(
            instance_id=item.source_id,
            person_id=reader.id,
            project_id=project.id,
            stream="work",
            action="skip",
            revision=0,
        )
    )
    session.commit()

    answer = client.post(address(project, run, "/retry"), json={"outcome": "unusable", "how": "ask"})

    assert answer.status_code == 409


def test_calls_that_may_have_been_billed_are_written_off_once(
    client: TestClient, project: Project, run: Run
) -> None:
    first = client.post(address(project, run, "/write-off")).json()
    second = client.post(address(project, run, "/write-off")).json()

    assert (first["calls"], first["run"]["reserved_usd"]) == (1, 0)
    assert (second["calls"], second["run"]["reserved_usd"]) == (0, 0)


def test_every_decision_is_in_its_log_with_who_took_it(
    client: TestClient, session: Session, project: Project, run: Run
) -> None:
    client.post(address(project, run, "/pause"))
    client.post(address(project, run, "/priority"), json={"priority": "low"})

    events = client.get(address(project, run, "/events")).json()["items"]

    assert [(event["event"], event["detail"]) for event in events] == [
        ("priority changed", "low"),
        ("paused", "by hand"),
    ]
    assert all(event["by"] for event in events)


def test_its_page_has_all_of_it_for_administrators_and_no_buttons_for_others(
    session: Session, project: Project, run: Run
) -> None:
    app = application_on(session)
    admin = signed_in(app, session, make_person(session, "admin", project))
    viewer = signed_in(app, session, make_person(session, "viewer", project))

    page = admin.get(f"/runs/{run.id}").text
    seen = viewer.get(f"/runs/{run.id}").text
    items = viewer.get(f"/runs/{run.id}/items?outcome=unusable").text

    for words in ("may have been billed", "Write off", "Read again", "Change budget", "For each that passes"):
        assert words in page
    for words in ("Write off", "Read again", "Change budget"):
        assert words not in seen
    assert "I would rather not" in items
    form = {"outcome": "unusable", "how": "ask"}
    assert viewer.post(f"/runs/{run.id}/retry", data=form).status_code == 403
    assert admin.post(f"/runs/{run.id}/retry", data=form).status_code == 303


def test_only_a_generation_has_a_budget(client: TestClient, session: Session, project: Project) -> None:
    ingest = make_run(session, project, kind="ingest")

    assert client.post(address(project, ingest, "/budget"), json={"budget_usd": 5}).status_code == 409

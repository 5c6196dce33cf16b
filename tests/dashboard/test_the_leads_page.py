"""Leads see how everybody gets on and how far they agree; the others see themselves and the team."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session

from app.dashboard import progress, readings
from app.dashboard.progress import Period, Tally
from app.pipeline import Action, Scope
from app.review.overlap import Policy
from app.review.policy import languages_of, save_policy
from app.storage.tables import BulkAction, Decision, Instance, Person, Project
from tests.factories import make_person, make_project
from tests.review.review_cases import instances_of
from tests.web.clients import signed_in, with_token


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def ada(session: Session, project: Project) -> Person:
    return make_person(session, project=project, name="ada")


@pytest.fixture
def grace(session: Session, project: Project) -> Person:
    return make_person(session, project=project, name="grace")


@pytest.fixture
def lead(session: Session, project: Project) -> Person:
    return make_person(session, "admin", project, name="lead")


def decided(session: Session, instance: Instance, person: Person, action: str, **values: Any) -> Decision:
    values = {"stream": "work", "revision": 0, "created_at": datetime.now(UTC)} | values
    decision = Decision(
        project_id=instance.project_id, instance_id=instance.id, person_id=person.id, action=action, **values
    )
    session.add(decision)
    session.flush()
    return decision


def read_twice(session: Session, project: Project, ada: Person, grace: Person, times: int = 30) -> None:
    """`times` units; of ten, the readers disagree about one."""
    for number, instance in enumerate(instances_of(session, project, times)):
        decided(session, instance, ada, Action.REJECT if number % 3 == 0 else Action.ACCEPT)
        decided(
            session, instance, grace, Action.REJECT if number % 3 == 0 or number % 10 == 1 else Action.EDIT
        )


def text_of(page: str) -> str:
    """What a page shows, without its marks."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main")[2]).split())


def test_counts_hold_what_stands_and_bulk_is_apart(
    session: Session, project: Project, ada: Person, grace: Person
) -> None:
    now = datetime.now(UTC)
    instances = instances_of(session, project, 8)
    decided(session, instances[0], ada, Action.ACCEPT)
    decided(session, instances[1], ada, Action.EDIT, created_at=now - timedelta(days=3))
    decided(session, instances[2], ada, Action.REJECT, created_at=now - timedelta(days=20))
    decided(session, instances[3], ada, Action.REJECT, created_at=now - timedelta(days=90))
    decided(session, instances[4], ada, Action.SKIP)
    decided(session, instances[5], ada, Action.ACCEPT, undone_at=now)
    decided(session, instances[5], grace, Action.REJECT, is_adjudication=True)
    decided(session, instances[6], grace, "restore", is_adjudication=True)
    bulk = BulkAction(
        project_id=project.id, person_id=grace.id, action="accept", filters={}, count=5, taken_back=3
    )
    session.add(bulk)
    session.flush()
    decided(session, instances[7], grace, Action.ACCEPT, bulk_action_id=bulk.id)

    found = progress.tallies(session, project.id, Period.MONTH)

    assert progress.of_person(found, ada.id) == Tally(1, 2, 4, accept=1, edit=1, reject=1, skip=1, bulk=0)
    assert progress.of_person(found, grace.id) == Tally(1, 1, 1, accept=0, edit=0, reject=1, skip=0, bulk=2)
    assert progress.by_stream(found) == {"work": progress.total(found.values())}
    assert progress.of_person(progress.tallies(session, project.id, Period.ALL), ada.id).decided == 4


def test_only_blind_readings_that_stand_are_compared(
    session: Session, project: Project, ada: Person, grace: Person, lead: Person
) -> None:
    one, two, three = instances_of(session, project, 3)
    decided(session, one, ada, Action.ACCEPT)
    decided(session, one, grace, Action.REJECT)
    decided(session, one, lead, Action.REJECT, is_adjudication=True)
    decided(session, two, ada, Action.ACCEPT)
    decided(session, two, grace, Action.REJECT, round=1)  # sent back in between
    decided(session, three, ada, Action.ACCEPT)
    decided(session, three, grace, Action.SKIP)
    decided(session, three, lead, Action.REJECT, undone_at=datetime.now(UTC))

    (only,) = readings.patterns(session, project.id, Period.ALL)
    (dispute,) = readings.disagreements(session, project.id, Period.ALL)

    assert only == ([ada.id, grace.id], ["accept", "reject"], 1)
    assert readings.patterns_by_task(session, project.id, Period.ALL) == {("generation", "python"): [only]}
    assert (dispute.instance_id, dispute.said) == (one.id, [("ada", "accept"), ("grace", "reject")])


def test_a_decision_takes_from_the_one_before_and_a_long_pause_counts_ten_minutes(
    session: Session, project: Project, ada: Person
) -> None:
    start = datetime.now(UTC) - timedelta(hours=6)
    given = start  # all of them at once, as the next ones are while the present one is being read
    unknown = instances_of(session, project, 1)[0]  # nobody knows when its reading began
    decided(session, unknown, ada, Action.ACCEPT, created_at=start - timedelta(hours=1))
    for instance, after_s in zip(instances_of(session, project, 3), (20, 60, 9_000), strict=True):
        decided(
            session,
            instance,
            ada,
            Action.ACCEPT,
            leased_at=given,
            created_at=start + timedelta(seconds=after_s),
        )

    speed = progress.speeds(session, project.id, Period.ALL, ada.id)[ada.id]

    assert (speed.decisions, speed.median) == (3, 40)  # 20, 40 and 600
    assert 40 < speed.ninth_decile < 600


def test_a_lead_sees_everybody_and_how_far_they_agree(
    session: Session, app: FastAPI, project: Project, ada: Person, grace: Person, lead: Person
) -> None:
    read_twice(session, project, ada, grace)

    page = text_of(signed_in(app, session, lead).get("/quality").text)

    assert "Krippendorff's alpha" in page
    assert "ada, grace 30" in page
    assert "The team 60 60 60 60" in page
    assert "Other people's speed is private" in page
    assert "nan" not in page.lower().split()


@pytest.mark.parametrize("role", ["annotator", "viewer"])
def test_others_see_their_own_numbers_and_the_teams(
    session: Session, app: FastAPI, project: Project, ada: Person, grace: Person, role: str
) -> None:
    read_twice(session, project, ada, grace)
    me = make_person(session, role, project, name="me") if role == "viewer" else ada

    browser = signed_in(app, session, me)
    page, tasks = text_of(browser.get("/quality").text), text_of(browser.get("/quality/tasks").text)

    assert "The team 60 60 60 60" in page
    assert ("ada (you) 30 30 30 30" in page) == (me is ada)
    for secret in ("grace", "Agreement", "Krippendorff", "kappa", "disagreements"):
        assert secret not in page
        assert secret not in tasks


def test_speed_is_private_unless_the_project_says_otherwise(
    session: Session, app: FastAPI, project: Project, ada: Person, lead: Person
) -> None:
    given = datetime.now(UTC) - timedelta(seconds=1234)
    decided(session, instances_of(session, project, 1)[0], ada, Action.ACCEPT, leased_at=given)
    pages = signed_in(app, session, lead)
    mine = "10 min 0 s"

    assert mine in text_of(signed_in(app, session, ada).get("/quality").text)
    assert mine not in text_of(pages.get("/quality").text)

    save_policy(session, lead.id, project, Policy(speed_visible=True))

    assert mine in text_of(pages.get("/quality").text)


def test_an_unused_project_says_that_nobody_has_decided(
    session: Session, app: FastAPI, project: Project, lead: Person
) -> None:
    for address in ("/quality", "/quality?period=today", "/quality/tasks"):
        assert signed_in(app, session, lead).get(address).status_code == 200
    assert "Nobody has decided anything yet" in signed_in(app, session, lead).get("/quality").text


def test_a_lead_chooses_what_somebody_reads_and_nobody_else_does(
    session: Session, app: FastAPI, project: Project, ada: Person, grace: Person, lead: Person
) -> None:
    stranger = make_person(session, project=make_project(session))
    address = "/settings/reading/languages/{}".format
    pages = signed_in(app, session, lead)

    answer = pages.post(address(ada.id), data={"languages": ["python", "go"]})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/quality")
    assert languages_of(session, project.id, ada.id) == ["go", "python"]
    assert "ada go, python" in text_of(pages.get("/quality").text)
    assert pages.post(address(stranger.id), data={"languages": ["go"]}).status_code == 404
    assert signed_in(app, session, grace).post(address(ada.id), data={}).status_code == 403
    assert languages_of(session, project.id, ada.id) == ["go", "python"]


def test_scripts_of_leads_get_agreement_and_people_others_only_themselves(
    session: Session, app: FastAPI, project: Project, ada: Person, grace: Person, lead: Person
) -> None:
    read_twice(session, project, ada, grace)
    address = f"/api/v1/projects/{project.slug}/quality"

    seen = with_token(app, session, lead, Scope.ADMIN).get(address).json()
    own = with_token(app, session, ada, Scope.ADMIN).get(address).json()

    assert seen["agreement"]["units"] == 30
    assert [pair["people"] for pair in seen["agreement"]["pairs"]] == [["ada", "grace"]]
    assert seen["agreement"]["alpha"]["low"] < seen["agreement"]["alpha"]["value"]
    assert {one["person"]: one["ever"] for one in seen["people"]} == {"ada": 30, "grace": 30, "lead": 0}
    assert own["agreement"] is None
    assert [one["person"] for one in own["people"]] == ["ada"]

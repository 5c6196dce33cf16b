"""What people's answers count as, and how the estimates of a filter are shown to people and scripts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session

from app.dashboard.labelled import Filters, OfVerdict, queue_by_verdict
from app.dashboard.progress import Period
from app.pipeline import Action, InstanceStatus, Scope, Verdict
from app.storage.tables import BulkAction, Instance, Person, Project
from tests.dashboard.test_the_leads_page import decided, text_of
from tests.factories import make_instance, make_person, make_pick, make_project, make_run, make_snippet
from tests.web.clients import signed_in, with_token

Make = Callable[..., Instance]
ADDRESS = "/quality/estimates"
DEFAULTS = {"verdict": Verdict.PASS, "status": InstanceStatus.ACCEPTED}


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
def make(session: Session, project: Project) -> Make:
    """Instances of one pick, judged `pass` and accepted unless the test says otherwise."""
    pick, run = make_pick(session, make_snippet(session, project)), make_run(session, project)
    numbers = iter(range(1, 1_000))
    return lambda **values: make_instance(
        session, pick, run, **(DEFAULTS | {"candidate": next(numbers)} | values)
    )


def labels_of(session: Session, project: Project, period: Period = Period.ALL) -> tuple[int, int]:
    """(labels, good ones) over all verdicts."""
    found = queue_by_verdict(session, project.id, Filters(), period)
    return sum(one.labels for one in found), sum(one.good for one in found)


def read_many(session: Session, make: Make, person: Person) -> None:
    """40 instances: half pass and half fail, 24 of these are read; the judge is right about 20 of them."""
    for number in range(40):
        is_pass = number % 2 == 0
        instance = make(
            verdict=Verdict.PASS if is_pass else Verdict.FAIL,
            status=InstanceStatus.ACCEPTED if number < 24 else InstanceStatus.WAITING,
        )
        if number < 24:
            is_good = is_pass if number < 20 else not is_pass
            decided(session, instance, person, Action.ACCEPT if is_good else Action.REJECT)


@pytest.mark.parametrize(
    ("action", "values", "counted"),
    [
        (Action.ACCEPT, {}, (1, 1)),
        (Action.EDIT, {}, (1, 0)),
        (Action.REJECT, {}, (1, 0)),
        (Action.ACCEPT, {"revision": 1}, (1, 0)),  # somebody had edited it before
        (Action.SKIP, {}, (0, 0)),
        (Action.ACCEPT, {"undone_at": datetime.now(UTC)}, (0, 0)),
        (Action.ACCEPT, {"round": 1}, (0, 0)),  # not the present one
        (Action.ACCEPT, {"created_at": datetime.now(UTC) - timedelta(days=9)}, (0, 0)),
    ],
    ids=["accepted", "edited", "rejected", "edited before", "skipped", "undone", "other round", "long ago"],
)
def test_only_what_is_accepted_unchanged_is_good(
    session: Session,
    project: Project,
    ada: Person,
    make: Make,
    action: Action,
    values: dict[str, Any],
    counted: tuple[int, int],
) -> None:
    decided(session, make(), ada, action, **values)

    assert labels_of(session, project, Period.WEEK) == counted


def test_where_readers_disagree_it_is_not_good_until_an_adjudicator_says_so(
    session: Session, project: Project, ada: Person, grace: Person, make: Make
) -> None:
    instance = make(status=InstanceStatus.DISPUTED)
    decided(session, instance, ada, Action.ACCEPT)
    decided(session, instance, grace, Action.REJECT)

    before = labels_of(session, project)
    decided(session, instance, make_person(session, "admin"), Action.ACCEPT, is_adjudication=True)

    assert before == (1, 0)
    assert labels_of(session, project) == (1, 1)


def test_what_waits_for_a_second_reader_is_no_label_yet(
    session: Session, project: Project, ada: Person, make: Make
) -> None:
    decided(session, make(status=InstanceStatus.WAITING), ada, Action.REJECT)

    assert labels_of(session, project) == (0, 0)


def test_an_answer_of_long_ago_counts_beside_one_of_the_period(
    session: Session, project: Project, ada: Person, grace: Person, make: Make
) -> None:
    instance = make()
    decided(session, instance, ada, Action.REJECT, created_at=datetime.now(UTC) - timedelta(days=9))
    decided(session, instance, grace, Action.ACCEPT)

    assert labels_of(session, project, Period.WEEK) == (1, 0)


def test_what_is_decided_in_bulk_nobody_has_read(
    session: Session, project: Project, ada: Person, make: Make
) -> None:
    bulk = BulkAction(project_id=project.id, person_id=ada.id, action="accept", filters={}, count=2)
    session.add(bulk)
    session.flush()
    unread, half_read = make(), make()
    decided(session, half_read, ada, Action.ACCEPT)
    for instance in (unread, half_read):
        decided(session, instance, ada, Action.ACCEPT, bulk_action_id=bulk.id)

    (passed,) = queue_by_verdict(session, project.id, Filters(), Period.ALL)

    assert passed == OfVerdict(Verdict.PASS, instances=2, labels=1, good=1, in_bulk=1)


def test_instances_are_those_of_the_project_and_the_filter_that_have_a_text_and_are_not_withdrawn(
    session: Session, project: Project, ada: Person, make: Make
) -> None:
    decided(session, make(language="go"), ada, Action.ACCEPT)
    decided(session, make(language="go", status=InstanceStatus.WITHDRAWN), ada, Action.ACCEPT)
    make(verdict=None)
    make(verdict=Verdict.FAIL, task="repair")
    make(verdict=None, status=InstanceStatus.UNUSABLE)
    decided(session, make_instance(session, verdict=Verdict.PASS), ada, Action.ACCEPT)  # of another project

    def found(**asked: str) -> list[tuple[str | None, int, int]]:
        rows = queue_by_verdict(session, project.id, Filters(**asked), Period.ALL)
        return [(one.verdict, one.instances, one.labels) for one in rows]

    assert found() == [("pass", 1, 1), ("fail", 1, 0), (None, 1, 0)]
    assert found(language="go") == [("pass", 1, 1)]
    assert found(task="repair") == [("fail", 1, 0)]
    assert found(verdict="pass", language="python") == []


def test_the_page_shows_both_estimates_and_how_the_labels_came_about(
    session: Session, app: FastAPI, project: Project, ada: Person, make: Make
) -> None:
    read_many(session, make, ada)
    browser = signed_in(app, session, ada)

    page = text_of(browser.get(ADDRESS).text)
    passed = text_of(browser.get(f"{ADDRESS}?verdict=pass").text)

    assert "24 read of 40 instances" in page
    assert "People only 50.0 % 31.4 % to 68.6 %" in page
    assert "12 of 24 accepted unchanged" in page
    assert "The verdicts narrow the interval by" in page
    assert "not drawn at random: this describes what was read" in page
    assert "not enough: 12 of 20" in passed
    assert "too few labels" in passed


def test_the_page_says_that_the_verdicts_are_no_help(
    session: Session, app: FastAPI, project: Project, ada: Person, make: Make
) -> None:
    for number in range(60):
        instance = make(
            verdict=Verdict.PASS if number % 2 else Verdict.FAIL, language=("go", "java")[number > 29]
        )
        if number != 59:
            decided(session, instance, ada, Action.REJECT if number % 2 else Action.ACCEPT)
    browser = signed_in(app, session, ada)

    assert "The verdicts are no help here, so" in text_of(browser.get(ADDRESS).text)
    assert "Everything was read" in text_of(browser.get(f"{ADDRESS}?language=go").text)
    assert "which tells nothing apart" in text_of(browser.get(f"{ADDRESS}?verdict=pass").text)


def test_the_page_of_a_filter_that_nothing_matches_offers_to_clear_it(
    session: Session, app: FastAPI, ada: Person, make: Make
) -> None:
    make()

    answer = signed_in(app, session, ada).get(f"{ADDRESS}?task=nothing&language=&verdict=fail")

    assert answer.status_code == 200
    assert "There is nothing to estimate" in answer.text
    assert f'href="{ADDRESS}">Clear the filter' in answer.text


def test_scripts_get_the_estimates_with_their_design(
    session: Session, app: FastAPI, project: Project, make: Make
) -> None:
    viewer = make_person(session, "viewer", project)
    read_many(session, make, viewer)
    make(verdict=None, status=InstanceStatus.WAITING)
    api = with_token(app, session, viewer, Scope.READ)
    address = f"/api/v1/projects/{project.slug}/quality/estimates"

    seen = api.get(address, params={"language": "python"}).json()

    assert (seen["task"], seen["language"], seen["period"], seen["in_bulk"]) == (None, "python", "all", 0)
    (queue,) = seen["estimates"]
    assert (queue["design"], queue["random"]) == ("queue", False)
    assert (queue["instances"], queue["labels"], queue["good"]) == (41, 24, 12)
    people, powered = queue["people"], queue["powered"]
    assert people["value"] == 0.5
    assert people["low"] < powered["low"] < powered["high"] < people["high"]
    assert 0 < queue["weight"] < 1
    assert 0 < queue["narrower"] < 1
    assert [(one["verdict"], one["prediction"], one["labels"]) for one in queue["verdicts"]] == [
        ("pass", 1, 12),
        ("fail", 0, 12),
        (None, 0.5, 0),
    ]
    assert api.get(address, params={"task": "poetry"}).status_code == 422
    assert api.get(address, params={"language": "cobol"}).json()["estimates"][0]["people"]["value"] is None


def test_scripts_of_strangers_find_no_such_project(session: Session, app: FastAPI, project: Project) -> None:
    stranger = make_person(session, project=make_project(session))

    answer = with_token(app, session, stranger, Scope.READ).get(
        f"/api/v1/projects/{project.slug}/quality/estimates"
    )

    assert answer.status_code == 404

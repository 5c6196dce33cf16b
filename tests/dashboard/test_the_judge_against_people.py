"""The page and the API set the judge's verdicts beside people's decisions, and replay other weights of its rules."""

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.dashboard import judged as queries
from app.dashboard.calibration import Confusion, RuleCounts
from app.dashboard.progress import Period
from app.pipeline import Action, Scope, Stage
from app.storage.tables import Decision, Exemplar, Instance, Person, Project, RuleOverride
from tests.dashboard.test_the_leads_page import decided
from tests.factories import make_call, make_item, make_person, make_project
from tests.review.review_cases import instances_of, judged
from tests.web.clients import signed_in, with_token

SOUND = {"solves_it": "yes", "readable": "yes"}
BROKEN = {"solves_it": "no", "readable": "yes"}
UGLY = {"solves_it": "yes", "readable": "no"}


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def lead(session: Session, project: Project) -> Person:
    return make_person(session, "admin", project, name="lead")


def word_on(session: Session, instance: Instance, by: Person, rules: dict[str, str], action: str) -> Decision:
    return decided(session, instance, by, action, verdict_id=judged(session, instance, rules).id)


@pytest.fixture
def five(session: Session, project: Project, lead: Person) -> list[Instance]:
    """Passed and good, passed and edited, failed and rejected, and twice failed for its looks, yet good."""
    instances = instances_of(session, project, 5)
    said = (
        (SOUND, Action.ACCEPT),
        (SOUND, Action.EDIT),
        (BROKEN, Action.REJECT),
        (UGLY, Action.ACCEPT),
        (UGLY, Action.ACCEPT),
    )
    for instance, (rules, action) in zip(instances, said, strict=True):
        word_on(session, instance, lead, rules, action)
    return instances


def test_each_instance_counts_once_by_the_newest_word_that_stands(
    session: Session, project: Project, lead: Person, five: list[Instance]
) -> None:
    other = make_person(session, project=project, name="other")
    seen = {one.instance_id: one.verdict_id for one in session.scalars(select(Decision))}
    decided(session, five[0], other, Action.REJECT, verdict_id=seen[five[0].id], is_adjudication=True)
    taken_back = decided(session, five[2], other, Action.ACCEPT, verdict_id=seen[five[2].id])
    taken_back.undone_at = taken_back.created_at
    session.flush()

    found = queries.judged(session, project.id, Period.ALL)

    assert found.all == Confusion(failed_defective=1, failed_good=2, passed_defective=2, passed_good=0)
    assert sum(one.units for one in found.by_week.values()) == found.all.units
    assert list(found.by_task) == [five[0].task]


def test_rules_are_counted_by_what_people_made_of_the_instance(
    session: Session, project: Project, lead: Person, five: list[Instance]
) -> None:
    overruling = word_on(session, instances_of(session, project, 1)[0], lead, UGLY, Action.ACCEPT)
    session.add(RuleOverride(decision_id=overruling.id, rule="readable", answer="yes"))
    session.flush()

    assert queries.rules(session, project.id, Period.ALL) == [
        RuleCounts("readable", no_good=3, yes_defective=2, yes_good=1, no_overruled=1),
        RuleCounts("solves_it", no_defective=1, yes_defective=1, yes_good=4),
    ]


def test_a_replay_recomputes_verdicts_and_lists_those_that_flip(
    app: FastAPI, session: Session, project: Project, lead: Person, five: list[Instance]
) -> None:
    scripts = with_token(app, session, lead, Scope.ADMIN)

    answer = scripts.post(
        f"/api/v1/projects/{project.slug}/quality/replays", json={"rules": {"readable": "advisory"}}
    )

    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["instances"] == 5
    assert found["weights"] == {"readable": "required", "solves_it": "required"}
    assert (found["before"]["failed_good"], found["after"]["failed_good"]) == (2, 0)
    assert {one["instance_id"] for one in found["flipped"]} == {five[3].id, five[4].id}
    assert {(one["before"], one["after"], one["people"]) for one in found["flipped"]} == {
        ("fail", "pass", "good")
    }
    assert (found["only_before_right"], found["only_after_right"], found["mcnemar"]) == (0, 2, 0.5)


def test_what_served_as_an_example_is_not_replayed(
    session: Session, project: Project, lead: Person, five: list[Instance]
) -> None:
    case = Exemplar(
        project_id=project.id,
        instance_id=five[0].id,
        task=five[0].task,
        language=five[0].language,
        is_good=True,
        origin="person",
        instruction="i",
        information="",
        solution="s",
        analysis="a",
        content_hash="1" * 64,
    )
    session.add(case)
    session.flush()
    make_call(session, make_item(session, five[1], Stage.GENERATE), "{}", good_exemplar_id=case.id)

    replayed = queries.for_replay(session, project.id, most=10)

    assert {one.instance_id for one in replayed} == {one.id for one in five[1:]}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"nonsense": "required"}, "none of the rules"),
        ({"readable": "often"}, "can be required, advisory, retired"),
    ],
)
def test_a_replay_of_what_is_no_rule_or_no_weight_is_refused_by_name(
    app: FastAPI,
    session: Session,
    project: Project,
    lead: Person,
    five: list[Instance],
    rules: dict[str, str],
    said: str,
) -> None:
    scripts = with_token(app, session, lead, Scope.ADMIN)

    answer = scripts.post(f"/api/v1/projects/{project.slug}/quality/replays", json={"rules": rules})

    assert answer.status_code == 422
    assert said in answer.text


def test_the_pages_show_the_figures_and_the_flips(
    app: FastAPI, session: Session, project: Project, lead: Person, five: list[Instance]
) -> None:
    browser = signed_in(app, session, lead)

    page = browser.get("/quality/judge").text
    assert "too few decisions" in page
    assert "readable" in page

    replay = browser.get("/quality/replay?rule.readable=retired&rule.solves_it=required").text
    assert "Verdicts that change: 2" in replay
    assert f"/instances/{five[3].id}" in replay


def test_a_project_without_decisions_says_what_will_stand_there(
    app: FastAPI, session: Session, lead: Person
) -> None:
    browser = signed_in(app, session, lead)

    assert "No verdict has met a decision yet" in browser.get("/quality/judge").text
    assert "Nothing to replay yet" in browser.get("/quality/replay").text

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, InvalidInput
from app.pipeline import Action, InstanceStatus
from app.prompting.exemplars import text_hash
from app.review.history import instance_detail
from app.review.judgement import Judgement
from app.review.leases import take
from app.review.service import decide
from app.storage.tables import (
    Exemplar,
    Guideline,
    Instance,
    LogEntry,
    Person,
    Project,
    RunExemplar,
)
from tests.factories import REASONS, make_person, make_project
from tests.review.review_cases import LEAD, decide_next, instances_of, judged, say


@pytest.fixture
def desk(session: Session) -> tuple[Project, Person, Instance]:
    project = make_project(session)
    (instance,) = instances_of(session, project, 1)
    return project, make_person(session), instance


def _decide(session: Session, desk: tuple[Project, Person, Instance], judgement: Judgement) -> Any:
    project, person, _ = desk
    return decide_next(session, project, person, judgement)


def test_accept_keeps_the_text_the_verdict_and_the_guideline_it_was_read_under(
    session: Session, desk: tuple[Project, Person, Instance]
) -> None:
    project, _, instance = desk
    verdict = judged(session, instance)
    session.add_all(
        Guideline(project_id=project.id, version=version, markdown="Read it.") for version in (1, 2)
    )

    decision = _decide(session, desk, say(Action.ACCEPT))

    assert instance.status == InstanceStatus.ACCEPTED
    assert (decision.verdict_id, decision.guideline_version, decision.revision) == (verdict.id, 2, 0)
    assert instance_detail(session, instance.id, LEAD).revisions[0].solution == instance.solution


def test_an_edit_is_a_new_revision_accepted_with_its_distance_and_its_own_hash(
    session: Session, desk: tuple[Project, Person, Instance]
) -> None:
    _, person, instance = desk
    edited = instance.solution.replace("+ 1", "+ 12")

    decision = _decide(session, desk, say(Action.EDIT, edits={"solution": edited}))

    detail = instance_detail(session, instance.id, LEAD)
    assert (detail.status, detail.revision, detail.solution) == ("accepted", 1, edited)
    assert [(one.number, one.person, one.edit_distance) for one in detail.revisions] == [
        (0, None, 0),
        (1, person.name, 1),
    ]
    assert decision.new_revision == 1
    assert instance.text_hash == text_hash(instance.task, instance.instruction, instance.information, edited)


@pytest.mark.parametrize(
    ("judgement", "field", "message"),
    [
        (say(Action.REJECT), "reason", "Reject needs a reason, one of: incorrect, incomplete"),
        (say(Action.SKIP, reason="  "), "reason", "Skip needs a reason"),
        (say(Action.REJECT, reason="ugly"), "reason", "'ugly' is not a reason of this project"),
        (say(Action.ACCEPT, edits={"solution": "x"}), "edits", "send `edit` to change it"),
        (say(Action.EDIT), "edits", "Nothing is changed"),
        (say(Action.EDIT, edits={"task": "x"}), "edits", "'task' cannot be edited"),
        (say(Action.EDIT, edits={"solution": " \n"}), "solution", "The solution would be empty"),
        (say(Action.EDIT, edits={"solution": "a\0b"}), "solution", "NUL"),
        (say(Action.EDIT, edits={"solution": "x" * 100_001}), "solution", "100,001 characters"),
        (say(Action.ACCEPT, note="\ud800"), "note", "half a surrogate pair"),
        (say(Action.ACCEPT, rules={"nicer": "yes"}), "rules", "'nicer' is not a rule of this verdict"),
        (say(Action.ACCEPT, rules={"readable": "maybe"}), "rules", "yes or no, not 'maybe'"),
    ],
)
def test_a_judgement_that_cannot_be_used_names_the_field_and_decides_nothing(
    session: Session,
    desk: tuple[Project, Person, Instance],
    judgement: Judgement,
    field: str,
    message: str,
) -> None:
    instance = desk[2]
    judged(session, instance)

    with pytest.raises(InvalidInput, match=message) as refusal:
        _decide(session, desk, judgement)

    assert refusal.value.field == field
    assert instance.status == InstanceStatus.WAITING
    assert instance_detail(session, instance.id, LEAD).decisions == []


def test_reasons_are_the_projects_own(session: Session, desk: tuple[Project, Person, Instance]) -> None:
    project, _, instance = desk
    project.reasons = ["too_easy"]

    with pytest.raises(InvalidInput, match="Its reasons: too_easy"):
        _decide(session, desk, say(Action.REJECT, reason=REASONS[0]))
    _decide(session, desk, say(Action.REJECT, reason="too_easy"))

    assert instance.status == InstanceStatus.REJECTED


def test_a_person_overrules_single_rules_beside_the_machine(
    session: Session, desk: tuple[Project, Person, Instance]
) -> None:
    instance = desk[2]
    judged(session, instance)

    _decide(session, desk, say(Action.ACCEPT, rules={"solves_it": "yes"}))

    detail = instance_detail(session, instance.id, LEAD)
    assert detail.decisions[0].rules == {"solves_it": "yes"}
    assert detail.verdict is not None
    first = detail.verdict.rules[0]
    assert (first.rule, first.answer) == ("solves_it", "no")


def test_a_second_decision_is_refused_and_says_who_was_first(
    session: Session, desk: tuple[Project, Person, Instance]
) -> None:
    _, ada, instance = desk
    bob = make_person(session)
    card = take(session, ada, instance.id)
    decide(session, ada, instance.id, card.lease.token, say(Action.REJECT, reason="unsafe"))

    with pytest.raises(Conflict, match=f"already decided: {ada.name} rejected it at"):
        decide(session, bob, instance.id, card.lease.token, say(Action.ACCEPT))


def test_every_decision_is_in_the_log_of_who_did_what(
    session: Session, desk: tuple[Project, Person, Instance]
) -> None:
    decision = _decide(session, desk, say(Action.SKIP, reason="other", note="Not my field."))

    entry = session.scalars(select(LogEntry).order_by(LogEntry.id.desc()).limit(1)).one()
    assert (entry.action, entry.person_id, entry.detail["decision"]) == (
        "instance skipped",
        desk[1].id,
        decision.id,
    )


def test_a_rejected_text_becomes_a_bad_case_that_says_why(
    session: Session, desk: tuple[Project, Person, Instance]
) -> None:
    instance = desk[2]
    judged(session, instance)

    _decide(
        session, desk, say(Action.REJECT, reason="incorrect", note="Off by one.", rules={"readable": "no"})
    )

    case = session.scalars(select(Exemplar)).one()
    assert (case.is_good, case.origin, case.instance_id) == (False, "person", instance.id)
    assert case.analysis == (
        "A reader rejected it as incorrect. Off by one. "
        "Not met: The rule solves_it holds. (It returns nothing.) Not met: The rule readable holds."
    )


def test_a_persons_judgement_replaces_an_earlier_one_of_the_same_text_unless_a_run_has_frozen_it(
    session: Session,
) -> None:
    project, person = make_project(session), make_person(session)
    first, _, _ = instances_of(session, project, 3, solution="return 1", instruction="Return one.")
    decide_next(session, project, person, say(Action.ACCEPT))
    decide_next(session, project, person, say(Action.REJECT, reason="duplicate"))

    case = session.scalars(select(Exemplar)).one()
    session.refresh(case)
    assert not case.is_good

    session.add(RunExemplar(run_id=first.run_id, exemplar_id=case.id))
    decide_next(session, project, person, say(Action.ACCEPT))
    session.refresh(case)
    assert not case.is_good

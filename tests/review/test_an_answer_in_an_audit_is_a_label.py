"""An answer in an audit is a label; it counts in draw order and leaves the instance itself alone."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, InvalidInput
from app.pipeline import Action, AuditState, InstanceStatus
from app.review import service
from app.review.draws import Answer
from app.storage.labels import labelled_rows, standing_of
from app.storage.tables import Decision, Exemplar, Guideline, Person, Project, Revision
from tests.factories import make_person, make_project
from tests.review.audit_cases import DEFECT, OK, answer, draw_for, lot_of, make_audit, read_next
from tests.review.review_cases import decide_next, judged, say

FIXED = {"solution": "def fixed():\n    return 1\n"}


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def ada(session: Session, project: Project) -> Person:
    return make_person(session, project=project)


def test_ok_or_defect_is_asked_apart_from_the_text(session: Session, project: Project, ada: Person) -> None:
    audit = make_audit(session, project, 20, max_defect_rate=0.5)
    for said in (
        OK,
        Answer(False, say(Action.EDIT, edits=FIXED)),
        Answer(True, say(Action.EDIT, reason="incorrect", edits=FIXED)),
        DEFECT,
        Answer(True, say(Action.ACCEPT, reason="unclear")),
    ):
        read_next(session, audit, ada, said)

    rows = labelled_rows(session, audit.id)

    assert [row.defect for row in rows] == [False, False, True, True, True]
    assert [row.corrected_by for row in rows] == [None, 1, 1, None, None]
    assert [row.is_removed for row in rows] == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("said", "field", "why"),
    [
        (Answer(None, say(Action.ACCEPT)), "defect", "true or false"),
        (Answer(True, say(Action.ACCEPT)), "reason", "one of: incorrect, incomplete"),
        (Answer(True, say(Action.REJECT, reason="ugly")), "reason", "'ugly' is not a reason"),
        (Answer(False, say(Action.REJECT, reason="incorrect")), "defect", "What is ok is not rejected"),
        (Answer(False, say(Action.ACCEPT, rules={"readable": "no"})), "rules", "hidden in an audit"),
        (Answer(False, say(Action.EDIT)), "edits", "Nothing is changed"),
    ],
)
def test_an_answer_that_cannot_be_used_names_the_field(
    session: Session, project: Project, ada: Person, said: Answer, field: str, why: str
) -> None:
    audit = make_audit(session, project)
    draw = draw_for(session, audit, ada)

    with pytest.raises(InvalidInput, match=why) as refused:
        answer(session, ada, draw, said)

    assert refused.value.field == field


def test_the_work_stream_is_untouched_by_an_audit(session: Session, project: Project, ada: Person) -> None:
    audit = make_audit(session, project, 2, max_defect_rate=0.5)
    first, second = lot_of(session, audit)
    before = (first.solution, first.revision, first.status, first.readings, first.text_hash)

    read_next(session, audit, ada, Answer(True, say(Action.EDIT, reason="incorrect", edits=FIXED)))
    read_next(session, audit, ada, DEFECT)

    assert (first.solution, first.revision, first.status, first.readings, first.text_hash) == before
    assert second.status == InstanceStatus.WAITING
    assert session.scalars(select(Exemplar)).all() == []
    # Whoever has read it blind may read it in the work stream, too, as if for the first time.
    assert decide_next(session, project, ada, say(Action.ACCEPT)).instance_id == first.id
    assert first.status == InstanceStatus.ACCEPTED


def test_the_frozen_text_is_read_and_revisions_of_both_streams_are_numbered_as_one(
    session: Session, project: Project, ada: Person
) -> None:
    audit = make_audit(session, project, 2)
    (first, _) = lot_of(session, audit)
    frozen = first.solution
    decide_next(session, project, ada, say(Action.EDIT, edits={"solution": "in the work stream\n"}))

    draw = draw_for(session, audit, ada)
    with pytest.raises(InvalidInput, match="Nothing is changed"):  # against the frozen text
        answer(session, ada, draw, Answer(False, say(Action.EDIT, edits={"solution": frozen})))
    decision = answer(session, ada, draw, Answer(False, say(Action.EDIT, edits=FIXED)))

    texts = session.execute(
        select(Revision.number, Revision.solution)
        .where(Revision.instance_id == first.id)
        .order_by(Revision.number)
    ).all()
    assert texts == [(0, frozen), (1, "in the work stream\n"), (2, FIXED["solution"])]
    assert (decision.revision, decision.new_revision) == (0, 2)
    assert (first.solution, first.revision) == ("in the work stream\n", 1)


def test_an_answer_keeps_the_guideline_and_no_verdict_and_cannot_be_taken_back(
    session: Session, project: Project, ada: Person
) -> None:
    session.add(Guideline(project_id=project.id, version=4, markdown="Be kind."))
    audit = make_audit(session, project)
    judged(session, lot_of(session, audit)[0])

    read_next(session, audit, ada)

    decision = session.scalars(select(Decision)).one()
    assert (decision.guideline_version, decision.verdict_id) == (4, None)
    with pytest.raises(Conflict, match="an answer in an audit stands"):
        service.undo(session, ada, decision.id)


def test_an_answer_that_comes_early_waits_for_the_draws_before_it(
    session: Session, project: Project, ada: Person
) -> None:
    audit = make_audit(session, project, 4)
    bob = make_person(session, project=project)
    slow = draw_for(session, audit, bob)
    for _ in range(3):
        read_next(session, audit, ada)
    waiting = standing_of(session, audit)
    assert (waiting.draws, waiting.early, audit.state) == (0, 3, AuditState.OPEN)

    answer(session, bob, slow, OK)

    counted = standing_of(session, audit)
    assert (counted.draws, counted.early, audit.state) == (4, 0, AuditState.CERTIFIED)
    assert counted.certified_at == 4
    assert (audit.closed_at is None, audit.why_closed) == (False, "certified at draw 4 of 4")


def test_certification_waits_for_the_census_which_sets_the_tolerance(
    session: Session, project: Project, ada: Person
) -> None:
    # Ten rows would allow two defects; nine, where one of the census is removed, allow only one.
    audit = make_audit(session, project, 8, census=2, max_defect_rate=0.2)
    bob = make_person(session, project=project)
    held = draw_for(session, audit, bob)
    read_next(session, audit, ada, DEFECT)
    for _ in range(8):
        read_next(session, audit, ada)
    assert (standing_of(session, audit).tolerance, audit.state) == (None, AuditState.OPEN)

    answer(session, bob, held, OK)

    assert standing_of(session, audit).tolerance == 1
    assert audit.state == AuditState.CERTIFIED


def test_more_defects_than_the_claim_allows_end_the_audit_even_before_they_count(
    session: Session, project: Project, ada: Person
) -> None:
    audit = make_audit(session, project, 10, max_defect_rate=0.1)
    draw_for(session, audit, make_person(session, project=project))

    read_next(session, audit, ada, DEFECT)
    assert audit.state == AuditState.OPEN
    read_next(session, audit, ada, DEFECT)

    assert (audit.state, audit.why_closed) == (
        AuditState.FAILED,
        "2 defects are found, and the claim allows 1",
    )


def test_a_draw_in_hand_when_the_audit_is_certified_is_still_answered_and_counted(
    session: Session, project: Project, ada: Person
) -> None:
    audit = make_audit(session, project, 10, max_defect_rate=0.5)
    bob = make_person(session, project=project)
    for _ in range(2):
        read_next(session, audit, ada)
    third, in_hand = draw_for(session, audit, ada), draw_for(session, audit, bob)
    answer(session, ada, third, OK)
    assert audit.state == AuditState.CERTIFIED

    answer(session, bob, in_hand, DEFECT)

    found = standing_of(session, audit)
    assert (found.draws, found.defects, found.certified_at) == (4, 1, 3)
    assert audit.state == AuditState.CERTIFIED

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, NotFound
from app.pipeline import Action, InstanceStatus
from app.review.history import instance_detail
from app.review.service import undo
from app.storage.tables import Exemplar, RunExemplar
from tests.factories import make_person, make_project
from tests.review.review_cases import LEAD, card_for, decide_next, instances_of, say


def test_undo_brings_the_instance_back_first_and_keeps_the_decision_marked(session: Session) -> None:
    project, ada = make_project(session), make_person(session)
    one, two, three = instances_of(session, project, 3)
    decision = decide_next(session, project, ada, say(Action.REJECT, reason="other"))
    assert card_for(session, project, ada).instance.id == two.id
    assert card_for(session, project, ada, prefetch=True).instance.id == three.id

    undo(session, ada, decision.id)

    assert one.status == InstanceStatus.WAITING
    assert card_for(session, project, ada).instance.id == one.id
    assert instance_detail(session, one.id, LEAD).decisions[0].undone_at is not None


def test_undoing_an_edit_restores_the_text_and_the_next_edit_takes_a_new_number(session: Session) -> None:
    project, ada = make_project(session), make_person(session)
    (instance,) = instances_of(session, project, 1)
    original = instance.solution
    edit = decide_next(session, project, ada, say(Action.EDIT, edits={"solution": "return 2"}))

    undo(session, ada, edit.id)
    assert (instance.solution, instance.revision) == (original, 0)

    decide_next(session, project, ada, say(Action.EDIT, edits={"solution": "return 3"}))
    detail = instance_detail(session, instance.id, LEAD)
    assert [(one.number, one.solution) for one in detail.revisions] == [
        (0, original),
        (1, "return 2"),
        (2, "return 3"),
    ]


def test_only_the_last_ten_decisions_can_be_undone(session: Session) -> None:
    project, ada = make_project(session), make_person(session)
    instances_of(session, project, 11)
    decisions = [decide_next(session, project, ada, say(Action.ACCEPT)) for _ in range(11)]

    with pytest.raises(Conflict, match="last 10"):
        undo(session, ada, decisions[0].id)
    undo(session, ada, decisions[1].id)


def test_a_decision_is_undone_once_and_by_its_own_person(session: Session) -> None:
    project, ada = make_project(session), make_person(session)
    instances_of(session, project, 1)
    decision = decide_next(session, project, ada, say(Action.ACCEPT))

    with pytest.raises(NotFound):
        undo(session, make_person(session), decision.id)
    undo(session, ada, decision.id)
    with pytest.raises(Conflict, match="undone already"):
        undo(session, ada, decision.id)


def test_somebody_elses_later_decision_blocks_undo(session: Session) -> None:
    project, ada, bob = make_project(session), make_person(session), make_person(session)
    instances_of(session, project, 1)
    skip = decide_next(session, project, ada, say(Action.SKIP, reason="unclear"))
    decide_next(session, project, bob, say(Action.ACCEPT))

    with pytest.raises(Conflict, match=f"{bob.name} decided"):
        undo(session, ada, skip.id)


def test_undoing_a_skip_does_not_take_the_instance_from_another_reader(session: Session) -> None:
    project, ada, bob = make_project(session), make_person(session), make_person(session)
    (instance,) = instances_of(session, project, 1)
    skip = decide_next(session, project, ada, say(Action.SKIP, reason="unclear"))
    held = card_for(session, project, bob)

    undo(session, ada, skip.id)

    assert card_for(session, project, bob).lease.token == held.lease.token
    assert instance.status == InstanceStatus.WAITING


def test_undo_takes_the_case_out_of_the_bank_unless_a_run_has_frozen_it(session: Session) -> None:
    project, ada = make_project(session), make_person(session)
    one, _ = instances_of(session, project, 2)
    undo(session, ada, decide_next(session, project, ada, say(Action.ACCEPT)).id)
    assert session.scalars(select(Exemplar)).all() == []

    decision = decide_next(session, project, ada, say(Action.ACCEPT))
    case = session.scalars(select(Exemplar)).one()
    session.add(RunExemplar(run_id=one.run_id, exemplar_id=case.id))
    undo(session, ada, decision.id)
    assert session.scalars(select(Exemplar)).one() is case

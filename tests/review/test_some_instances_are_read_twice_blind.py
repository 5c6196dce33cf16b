"""A share of the instances goes to several readers, one after the other; none sees what another said."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict
from app.pipeline import Action, InstanceStatus
from app.review.assignment import WhyEmpty
from app.review.history import Viewer, instance_detail
from app.review.leases import next_card, take
from app.review.overlap import Policy, readings_wanted
from app.review.policy import save_policy
from app.review.service import decide, undo
from app.storage.tables import Exemplar, Instance, Person, Project
from tests.factories import make_person, make_project
from tests.review.review_cases import LEAD, card_for, decide_next, instances_of, say

KEPT = "def better(x):\n    return x + 1\n"


def edit(solution: str = KEPT) -> dict[str, dict[str, str]]:
    return {"edits": {"solution": solution}}


@pytest.fixture
def project(session: Session) -> Project:
    """All of its instances are read by two."""
    project = make_project(session)
    save_policy(session, make_person(session, "admin").id, project, Policy(overlap_percent=100))
    return project


@pytest.fixture
def readers(session: Session, project: Project) -> list[Person]:
    return [make_person(session, project=project) for _ in range(3)]


@pytest.fixture
def only(session: Session, project: Project) -> Instance:
    return instances_of(session, project, 1)[0]


def test_the_share_is_drawn_by_number_and_a_higher_one_only_adds_some() -> None:
    twice = {
        share: {
            number for number in range(5000) if readings_wanted(number, Policy(overlap_percent=share)) == 2
        }
        for share in (0, 10, 20, 100)
    }

    assert (len(twice[0]), len(twice[100])) == (0, 5000)
    assert 400 < len(twice[10]) < 600
    assert twice[10] < twice[20]


def test_a_first_answer_decides_nothing_and_goes_to_another_reader(
    session: Session, project: Project, readers: list[Person], only: Instance
) -> None:
    ada, bob, _ = readers
    before = only.solution

    decide_next(session, project, ada, say(Action.EDIT, **edit()))

    assert (only.status, only.solution, only.revision) == (InstanceStatus.WAITING, before, 0)
    assert session.scalars(select(Exemplar.id)).all() == []
    why = next_card(session, project, ada)
    assert isinstance(why, WhyEmpty)
    assert (why.reason, why.text) == (
        "waiting",
        "Nothing is left for you; for another reader: 1 that you have read",
    )
    with pytest.raises(Conflict, match="you have edited instance"):
        take(session, ada, only.id)
    assert card_for(session, project, bob).instance.solution == before


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ((say(Action.ACCEPT), say(Action.ACCEPT)), InstanceStatus.ACCEPTED),
        ((say(Action.EDIT, **edit()), say(Action.EDIT, **edit())), InstanceStatus.ACCEPTED),
        (
            (say(Action.REJECT, reason="unclear"), say(Action.REJECT, reason="incorrect")),
            InstanceStatus.REJECTED,
        ),
        ((say(Action.ACCEPT), say(Action.EDIT, **edit())), InstanceStatus.DISPUTED),
        ((say(Action.ACCEPT), say(Action.REJECT, reason="unclear")), InstanceStatus.DISPUTED),
        (
            (say(Action.EDIT, **edit()), say(Action.EDIT, **edit("def other():\n    pass\n"))),
            InstanceStatus.DISPUTED,
        ),
    ],
    ids=["both accept", "the same edit", "both reject", "one edits", "one rejects", "different edits"],
)
def test_two_who_agree_decide_and_two_who_do_not_go_to_an_adjudicator(
    session: Session,
    project: Project,
    readers: list[Person],
    only: Instance,
    answers: tuple,
    status: InstanceStatus,
) -> None:
    for reader, answer in zip(readers, answers, strict=False):
        decide_next(session, project, reader, answer)

    assert only.status == status
    is_edited = status == InstanceStatus.ACCEPTED and answers[0].action == Action.EDIT
    assert (only.solution == KEPT) == is_edited
    assert isinstance(next_card(session, project, readers[2]), WhyEmpty)


def test_who_has_not_answered_sees_no_answer_and_no_text_of_others(
    session: Session, project: Project, readers: list[Person], only: Instance
) -> None:
    ada, bob, _ = readers
    decide_next(session, project, ada, say(Action.EDIT, **edit()))

    blind = instance_detail(session, only.id, Viewer(bob.name, is_admin=False))
    own = instance_detail(session, only.id, Viewer(ada.name, is_admin=False))

    assert (blind.decisions, blind.hidden_decisions) == ([], 1)
    assert [one.number for one in blind.revisions] == [0]
    assert (len(own.decisions), own.revisions[-1].solution) == (1, KEPT)
    assert len(instance_detail(session, only.id, LEAD).decisions) == 1
    decide_next(session, project, bob, say(Action.ACCEPT))
    assert len(instance_detail(session, only.id, Viewer(bob.name, is_admin=False)).decisions) == 2


def test_the_page_of_a_half_read_instance_keeps_the_first_answer_to_itself(
    session: Session,
    project: Project,
    readers: list[Person],
    only: Instance,
    client: TestClient,
    sit_down: Callable[[Person], str],
) -> None:
    decide_next(session, project, readers[0], say(Action.REJECT, reason="unclear", note="It never ends."))
    sit_down(readers[1])

    for address in (f"/instances/{only.id}", "/review"):
        page = client.get(address).text
        assert "It never ends." not in page
    assert "1 answer is hidden until you have decided" in client.get(f"/instances/{only.id}").text


def test_either_answer_can_be_taken_back_while_nobody_has_built_on_it(
    session: Session, project: Project, readers: list[Person], only: Instance
) -> None:
    ada, bob, _ = readers
    first = decide_next(session, project, ada, say(Action.ACCEPT))
    second = decide_next(session, project, bob, say(Action.EDIT, **edit()))
    assert only.status == InstanceStatus.DISPUTED

    with pytest.raises(Conflict, match=f"{bob.name} decided"):
        undo(session, ada, first.id)
    undo(session, bob, second.id)
    assert (only.status, only.readings) == (InstanceStatus.WAITING, 1)
    card = card_for(session, project, bob)
    decide(session, bob, only.id, card.lease.token, say(Action.ACCEPT))

    assert (only.status, only.readings) == (InstanceStatus.ACCEPTED, 2)


def test_a_first_answer_taken_back_leaves_its_place_to_whoever_comes(
    session: Session, project: Project, readers: list[Person], only: Instance
) -> None:
    ada, bob, eve = readers
    undo(session, ada, decide_next(session, project, ada, say(Action.ACCEPT)).id)
    assert only.readings == 0

    decide_next(session, project, ada, say(Action.ACCEPT))
    decide_next(session, project, bob, say(Action.ACCEPT))

    assert only.status == InstanceStatus.ACCEPTED
    assert isinstance(next_card(session, project, eve), WhyEmpty)


def test_a_change_of_the_share_leaves_what_is_begun_as_it_was(
    session: Session, project: Project, readers: list[Person], only: Instance
) -> None:
    decide_next(session, project, readers[0], say(Action.ACCEPT))

    save_policy(session, readers[0].id, project, Policy(overlap_percent=0))

    assert only.status == InstanceStatus.WAITING
    decide_next(session, project, readers[1], say(Action.ACCEPT))
    assert only.status == InstanceStatus.ACCEPTED

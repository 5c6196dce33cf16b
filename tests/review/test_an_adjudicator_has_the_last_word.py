"""Where readers disagree, or too many skip, an adjudicator decides or sends it back."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict
from app.pipeline import Action, InstanceStatus, Scope
from app.review.adjudication import adjudicate, counts, send_back
from app.review.assignment import WhyEmpty
from app.review.leases import next_card
from app.review.overlap import Policy
from app.review.policy import save_policy
from app.review.service import undo
from app.storage.tables import Decision, Exemplar, Instance, Person, Project
from tests.factories import make_person, make_project
from tests.review.review_cases import PlainBrowser, decide_next, instances_of, say

THEIRS, MINE = "def theirs():\n    return 1\n", "def mine():\n    return 2\n"


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def lead(session: Session, project: Project) -> Person:
    return make_person(session, "admin", project)


@pytest.fixture
def readers(session: Session, project: Project) -> list[Person]:
    return [make_person(session, project=project) for _ in range(2)]


@pytest.fixture
def disputed(session: Session, project: Project, lead: Person, readers: list[Person]) -> Instance:
    """One reader rejects it, the other one edits it."""
    save_policy(session, lead.id, project, Policy(overlap_percent=100))
    (instance,) = instances_of(session, project, 1)
    decide_next(session, project, readers[0], say(Action.REJECT, reason="unclear", note="What for?"))
    decide_next(session, project, readers[1], say(Action.EDIT, edits={"solution": THEIRS}))
    assert instance.status == InstanceStatus.DISPUTED
    return instance


def test_the_last_word_holds_and_teaches(session: Session, lead: Person, disputed: Instance) -> None:
    adjudicate(session, lead, disputed.id, say(Action.EDIT, edits={"solution": MINE}))

    assert (disputed.status, disputed.solution) == (InstanceStatus.ACCEPTED, MINE)
    assert session.scalars(select(Exemplar.solution)).all() == [MINE]
    with pytest.raises(Conflict, match="already decided"):
        adjudicate(session, lead, disputed.id, say(Action.ACCEPT))


def test_taken_back_it_waits_for_an_adjudicator_again(
    session: Session, lead: Person, disputed: Instance
) -> None:
    before = disputed.solution
    decision = adjudicate(session, lead, disputed.id, say(Action.EDIT, edits={"solution": MINE}))

    undo(session, lead, decision.id)

    assert (disputed.status, disputed.solution) == (InstanceStatus.DISPUTED, before)
    assert session.scalars(select(Exemplar.id)).all() == []


def test_sent_back_it_is_read_anew_by_the_same_people(
    session: Session, project: Project, lead: Person, readers: list[Person], disputed: Instance
) -> None:
    back = send_back(session, lead, disputed.id, "Read the guideline.")
    assert (disputed.status, disputed.readings) == (InstanceStatus.WAITING, 0)

    for reader in readers:
        decide_next(session, project, reader, say(Action.ACCEPT))

    assert disputed.status == InstanceStatus.ACCEPTED
    assert len(session.scalars(select(Decision.id).where(Decision.undone_at.is_(None))).all()) == 5
    with pytest.raises(Conflict, match="decided on instance"):
        undo(session, lead, back.id)


def test_a_sending_back_that_nobody_has_answered_can_be_taken_back(
    session: Session, lead: Person, disputed: Instance
) -> None:
    undo(session, lead, send_back(session, lead, disputed.id, "").id)

    assert (disputed.status, disputed.readings, disputed.round) == (InstanceStatus.DISPUTED, 2, 0)


def test_what_enough_readers_skip_is_not_left_waiting_for_ever(session: Session, project: Project) -> None:
    people = [make_person(session, project=project) for _ in range(3)]
    (instance,) = instances_of(session, project, 1)

    skipped = [decide_next(session, project, one, say(Action.SKIP, reason="unclear")) for one in people]

    assert instance.status == InstanceStatus.DISPUTED
    assert counts(session, project.id).disputed == 1
    undo(session, people[0], skipped[0].id)
    assert instance.status == InstanceStatus.WAITING


def test_skips_come_back_last_where_the_project_says_so(session: Session, project: Project) -> None:
    lead, ada = make_person(session, "admin", project), make_person(session, project=project)
    save_policy(session, lead.id, project, Policy(skips_return=True, skips_to_adjudicate=0))
    one, two = instances_of(session, project, 2)

    order = [
        decide_next(session, project, ada, say(action, reason="unclear")).instance_id
        for action in (Action.SKIP, Action.SKIP, Action.SKIP, Action.REJECT, Action.REJECT)
    ]

    assert order == [one.id, two.id, one.id, two.id, one.id]
    assert isinstance(next_card(session, project, ada), WhyEmpty)


class Lead(PlainBrowser):
    """An adjudicator."""

    def choose(self, instance: Instance, choice: str, seen: int, **fields: str) -> int:
        form = {"choice": choice, "seen": str(seen)} | fields
        return self.send(f"/adjudication/{instance.id}", **form).status_code


@pytest.fixture
def at_work(client: TestClient, sit_down: Callable[[Person], str], lead: Person) -> Lead:
    return Lead(client, sit_down(lead))


def _newest(session: Session) -> int:
    return max(session.scalars(select(Decision.id)))


def test_both_answers_stand_side_by_side_and_one_can_be_taken(
    session: Session, readers: list[Person], disputed: Instance, at_work: Lead
) -> None:
    assert f'href="/adjudication/{disputed.id}"' in at_work.page("/adjudication")
    page = at_work.page(f"/adjudication/{disputed.id}")
    assert all(reader.name in page for reader in readers)
    assert "What for?" in page
    assert "theirs" in page

    edited = session.scalars(select(Decision.id).where(Decision.action == Action.EDIT)).one()
    assert at_work.choose(disputed, f"take.{edited}", _newest(session)) == 303

    assert (disputed.status, disputed.solution) == (InstanceStatus.ACCEPTED, THEIRS)


def test_a_refused_word_keeps_what_was_entered(session: Session, disputed: Instance, at_work: Lead) -> None:
    newest = _newest(session)

    assert at_work.choose(disputed, "reject", newest, note="No use.") == 422
    assert at_work.choose(disputed, "accept", newest - 1) == 409
    assert at_work.choose(disputed, "take.0", newest) == 422

    assert disputed.status == InstanceStatus.DISPUTED
    assert at_work.choose(disputed, "send_back", newest, note="Again, please.") == 303
    assert disputed.status == InstanceStatus.WAITING


def test_readers_cannot_adjudicate(
    session: Session,
    readers: list[Person],
    disputed: Instance,
    client: TestClient,
    acting_as: Callable[..., TestClient],
    sit_down: Callable[[Person], str],
) -> None:
    sit_down(readers[0])
    assert client.get("/adjudication").status_code == 403

    reader = acting_as(readers[0], Scope.REVIEW)
    answer = reader.post(f"/api/v1/instances/{disputed.id}/adjudications", json={"action": "accept"})
    assert answer.status_code == 403


def test_scripts_adjudicate_and_send_back(
    session: Session, lead: Person, disputed: Instance, acting_as: Callable[..., TestClient]
) -> None:
    scripts = acting_as(lead, Scope.ADMIN)
    address = f"/api/v1/instances/{disputed.id}/adjudications"

    assert scripts.post(address, json={"action": "reject"}).status_code == 422
    done = scripts.post(address, json={"action": "reject", "reason": "incorrect"})
    assert (done.status_code, done.json()["is_adjudication"]) == (201, True)
    assert disputed.status == InstanceStatus.REJECTED
    assert scripts.post(address, json={"action": "send_back"}).status_code == 409

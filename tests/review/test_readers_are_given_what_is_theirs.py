"""Languages that a person reads, and instances that are assigned to one."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.errors import InvalidInput
from app.pipeline import INSTANCE_LANGUAGES, Action
from app.review.assign import assign
from app.review.assignment import WhyEmpty
from app.review.filters import Filters
from app.review.leases import next_card
from app.review.overlap import Policy
from app.review.policy import languages_of, policy_of, save_languages, save_policy
from app.storage.tables import Person, Project
from tests.factories import make_person, make_project
from tests.review.review_cases import card_for, decide_next, instances_of, say


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def ada(session: Session, project: Project) -> Person:
    return make_person(session, project=project)


def test_who_reads_go_and_python_is_given_nothing_else_unless_they_ask(
    session: Session, project: Project, ada: Person
) -> None:
    ruby, go = (instances_of(session, project, 1, language=language)[0] for language in ("ruby", "go"))
    save_languages(session, ada.id, project, ada.id, ["go", "python"])

    assert card_for(session, project, ada).instance.id == go.id
    assert card_for(session, project, ada, filters=Filters(language="ruby")).instance.id == ruby.id


def test_an_empty_queue_says_what_languages_and_assignments_leave_out(
    session: Session, project: Project, ada: Person
) -> None:
    bob = make_person(session, project=project)
    instances_of(session, project, 2, language="ruby")
    instances_of(session, project, 1, assigned_to=bob.id)
    save_languages(session, ada.id, project, ada.id, ["go"])

    why = next_card(session, project, ada)

    assert isinstance(why, WhyEmpty)
    assert why.reason == "filtered"
    assert why.text == "2 instances in languages that you do not read; 1 instance assigned to other readers"


def test_what_is_assigned_to_somebody_comes_to_them_first_and_to_nobody_else(
    session: Session, project: Project, ada: Person
) -> None:
    bob = make_person(session, project=project)
    everybodys, adas = instances_of(session, project, 2)
    adas.assigned_to = ada.id
    session.flush()

    assert card_for(session, project, ada).instance.id == adas.id
    assert card_for(session, project, bob).instance.id == everybodys.id


def test_all_languages_are_no_choice_and_an_unknown_one_is_refused(
    session: Session, project: Project, ada: Person
) -> None:
    save_languages(session, ada.id, project, ada.id, INSTANCE_LANGUAGES)
    assert languages_of(session, project.id, ada.id) == ()

    with pytest.raises(InvalidInput, match="'cobol' is not a language here"):
        save_languages(session, ada.id, project, ada.id, ["cobol"])


def test_people_choose_their_languages_on_a_page(
    session: Session, project: Project, ada: Person, client: TestClient, sit_down: Callable[[Person], str]
) -> None:
    token = sit_down(ada)
    assert client.get("/review/languages").text.count("checked") == len(INSTANCE_LANGUAGES)

    answer = client.post("/review/languages", data={"csrf_token": token, "languages": ["python", "go"]})

    assert answer.status_code == 303
    assert languages_of(session, project.id, ada.id) == ["go", "python"]


def test_leads_set_how_instances_are_read_and_a_wrong_share_says_so(
    session: Session, project: Project, client: TestClient, sit_down: Callable[[Person], str]
) -> None:
    form = {
        "csrf_token": sit_down(make_person(session, "admin", project)),
        "overlap_readers": "3",
        "skips_to_adjudicate": "0",
        "opinions_visible": "open",
    }

    refused = client.post("/settings/reading", data=form | {"overlap_percent": "101"})
    taken = client.post("/settings/reading", data=form | {"overlap_percent": "10", "skips_return": "true"})

    assert (refused.status_code, taken.status_code) == (422, 303)
    assert "a percentage from 0 to 100" in refused.text
    assert policy_of(session, project.id) == Policy(10, 3, True, 0, "open", False)


def test_leads_assign_what_matches_and_free_it_again(
    session: Session, project: Project, ada: Person, client: TestClient, sit_down: Callable[[Person], str]
) -> None:
    lead, bob = make_person(session, "admin", project), make_person(session, project=project)
    go, ruby = (instances_of(session, project, 1, language=language)[0] for language in ("go", "ruby"))
    token = sit_down(lead)

    def send(address: str, reader: int) -> int:
        return client.post(address, data={"csrf_token": token, "reader": str(reader)}).status_code

    assert send("/instances/assign?language=go", make_person(session, "viewer", project).id) == 422
    assert send("/instances/assign?language=go", ada.id) == 303
    assert (go.assigned_to, ruby.assigned_to) == (ada.id, None)
    assert card_for(session, project, bob).instance.id == ruby.id
    assert ada.name in client.get("/instances/assign").text

    assert send("/instances/assign/free", ada.id) == 303
    assert go.assigned_to is None


def test_what_somebody_reads_or_has_answered_is_not_assigned(
    session: Session, project: Project, ada: Person
) -> None:
    lead, bob = make_person(session, "admin", project), make_person(session, project=project)
    instances_of(session, project, 3)
    card_for(session, project, bob)
    decide_next(session, project, ada, say(Action.SKIP, reason="unclear"))

    given = assign(session, lead, project, Filters(), ada.id)

    assert (given.rows, given.left_out) == (1, 2)


def test_an_answer_of_the_assigned_reader_leaves_the_next_reading_to_everybody(
    session: Session, project: Project, ada: Person
) -> None:
    lead, bob = make_person(session, "admin", project), make_person(session, project=project)
    save_policy(session, lead.id, project, Policy(overlap_percent=100))
    (only,) = instances_of(session, project, 1)
    assign(session, lead, project, Filters(), ada.id)

    decide_next(session, project, ada, say(Action.ACCEPT))

    assert card_for(session, project, bob).instance.id == only.id

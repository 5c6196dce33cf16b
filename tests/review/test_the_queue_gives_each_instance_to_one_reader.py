from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, delete, select, text
from sqlalchemy.orm import Session

from app.errors import Conflict
from app.pipeline import Action, InstanceStatus
from app.review import work_queue
from app.review.assignment import WhyEmpty
from app.review.filters import Filters
from app.review.leases import Card, next_card, renew, take
from app.review.service import decide
from app.storage.tables import (
    Instance,
    Lease,
    Membership,
    Person,
    Pick,
    Project,
    Run,
    Selection,
    Snippet,
    Source,
)
from tests.factories import make_instance, make_person, make_project
from tests.review.review_cases import card_for, decide_next, instances_of, run_out, say
from tests.waiting import await_that


def test_the_lowest_priority_number_is_read_first_then_the_oldest(session: Session) -> None:
    project, reader = make_project(session), make_person(session)
    usual, older = instances_of(session, project, 2)
    (urgent,) = instances_of(session, project, 1, priority=10)

    order = [decide_next(session, project, reader, say(Action.ACCEPT)).instance_id for _ in range(3)]

    assert order == [urgent.id, usual.id, older.id]


def test_asking_again_gives_the_same_card_until_it_is_decided(session: Session) -> None:
    project, reader = make_project(session), make_person(session)
    instances_of(session, project, 2)

    first, again = card_for(session, project, reader), card_for(session, project, reader)

    assert again.instance.id == first.instance.id
    assert again.lease.token == first.lease.token


def test_prefetch_holds_one_more_and_never_a_third(session: Session) -> None:
    project, reader = make_project(session), make_person(session)
    one, two, _ = instances_of(session, project, 3)

    shown = [
        card_for(session, project, reader, prefetch=prefetch).instance.id
        for prefetch in (False, True, True, False)
    ]

    assert shown == [one.id, two.id, two.id, one.id]


def test_two_readers_get_different_instances(session: Session) -> None:
    project, ada, bob = make_project(session), make_person(session), make_person(session)
    one, two = instances_of(session, project, 2)

    assert card_for(session, project, ada).instance.id == one.id
    assert card_for(session, project, bob).instance.id == two.id


def test_a_lease_that_ran_out_lets_another_reader_in_and_the_late_decision_is_refused(
    session: Session,
) -> None:
    project, ada, bob = make_project(session), make_person(session), make_person(session)
    instances_of(session, project, 1)
    late = card_for(session, project, ada)
    run_out(session, late.lease)

    assert card_for(session, project, bob).instance.id == late.instance.id
    with pytest.raises(Conflict, match=f"is with {bob.name} until"):
        decide(session, ada, late.instance.id, late.lease.token, say(Action.ACCEPT))


def test_a_lease_that_ran_out_is_still_good_while_nobody_else_asked(session: Session) -> None:
    project, ada = make_project(session), make_person(session)
    instances_of(session, project, 1)
    card = card_for(session, project, ada)
    run_out(session, card.lease)

    decide(session, ada, card.instance.id, card.lease.token, say(Action.ACCEPT))

    assert card.instance.status == InstanceStatus.ACCEPTED


def test_activity_renews_a_lease_and_a_lost_one_cannot_be_renewed(session: Session) -> None:
    project, ada, bob = make_project(session), make_person(session), make_person(session)
    instances_of(session, project, 1)
    card = card_for(session, project, ada)
    run_out(session, card.lease)
    assert renew(session, ada, card.instance.id, card.lease.token).expires_at > card.lease.leased_at

    assert isinstance(next_card(session, project, bob), WhyEmpty)
    run_out(session, card.lease)
    card_for(session, project, bob)
    with pytest.raises(Conflict, match=bob.name):
        renew(session, ada, card.instance.id, card.lease.token)


def test_a_free_instance_can_be_taken_by_its_number(session: Session) -> None:
    project, ada, bob = make_project(session), make_person(session), make_person(session)
    _, wanted = instances_of(session, project, 2)

    assert take(session, ada, wanted.id).instance.id == wanted.id
    with pytest.raises(Conflict, match=ada.name):
        take(session, bob, wanted.id)


def test_a_skipped_instance_goes_to_others_but_not_back_to_the_same_reader(session: Session) -> None:
    project, ada, bob = make_project(session), make_person(session), make_person(session)
    (only,) = instances_of(session, project, 1)

    decide_next(session, project, ada, say(Action.SKIP, reason="unclear"))

    why = next_card(session, project, ada)
    assert isinstance(why, WhyEmpty)
    assert (why.reason, why.queue.skipped) == ("waiting", 1)
    assert card_for(session, project, bob).instance.id == only.id


def test_an_empty_queue_says_that_others_hold_the_rest_and_until_when(session: Session) -> None:
    project, ada, bob = make_project(session), make_person(session), make_person(session)
    instances_of(session, project, 1)
    card = card_for(session, project, ada)

    why = next_card(session, project, bob)

    assert isinstance(why, WhyEmpty)
    assert why.reason == "leased"
    assert why.text == f"The last one is with others until {card.lease.expires_at:%H:%M} UTC"


def test_an_empty_queue_says_what_a_filter_hides(session: Session) -> None:
    project, ada = make_project(session), make_person(session)
    instances_of(session, project, 2)

    why = next_card(session, project, ada, filters=Filters(language="ruby"))

    assert isinstance(why, WhyEmpty)
    assert (why.reason, why.text) == ("filtered", "Your filter hides 2 instances that could be read")


def test_an_empty_queue_says_what_is_still_being_made(session: Session) -> None:
    project, ada = make_project(session), make_person(session)
    instances_of(session, project, 3, status=InstanceStatus.GENERATING)

    why = next_card(session, project, ada)

    assert isinstance(why, WhyEmpty)
    assert (why.reason, why.text) == ("empty", "Nothing to read yet: 3 instances still being made")


def test_a_filter_gives_back_what_does_not_fit_and_finds_text_literally(session: Session) -> None:
    project, ada = make_project(session), make_person(session)
    plain, percent = instances_of(session, project, 2)
    percent.instruction = "Format 100% of the rows."
    assert card_for(session, project, ada).instance.id == plain.id

    assert card_for(session, project, ada, filters=Filters(q="0%")).instance.id == percent.id

    held = session.scalars(select(Lease.instance_id).where(Lease.person_id == ada.id)).all()
    assert held == [percent.id]


def test_an_instance_of_another_project_is_never_given(session: Session) -> None:
    project, ada = make_project(session), make_person(session)
    make_instance(session)

    assert isinstance(next_card(session, project, ada), WhyEmpty)


@pytest.fixture
def crowd(engine: Engine) -> Iterator[tuple[Project, list[Person]]]:
    """A committed project with eight readers and five instances; everything is removed again."""
    with Session(engine, expire_on_commit=False) as session:
        project = make_project(session)
        readers = [make_person(session) for _ in range(8)]
        instances_of(session, project, 5)
        session.commit()
    yield project, readers
    with engine.begin() as connection:
        for table in (Lease, Instance, Pick, Selection, Snippet, Source, Run, Membership, Person, Project):
            connection.execute(delete(table))


def test_readers_who_ask_at_the_same_moment_never_hold_the_same_instance(
    engine: Engine, crowd: tuple[Project, list[Person]]
) -> None:
    project, readers = crowd

    def ask(reader: Person) -> Card | WhyEmpty:
        with Session(engine, expire_on_commit=False) as session:
            answer = next_card(session, project, reader)
            session.commit()
        return answer

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, readers))

    given = [answer.instance.id for answer in answers if isinstance(answer, Card)]
    assert len(given) == len(set(given)) == 5
    assert {answer.reason for answer in answers if isinstance(answer, WhyEmpty)} <= {"leased"}
    with Session(engine) as session:
        assert len(session.scalars(select(Lease.id)).all()) == 5
        assert len(session.scalars(select(Instance.id)).all()) == 5


def test_another_tab_that_asks_at_the_same_moment_is_shown_the_same_card(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, ada = make_project(session), make_person(session)
    first = instances_of(session, project, 2)[0]
    given = card_for(session, project, ada)
    seen_before = iter([[], [], first])  # the other tab's queries saw the time before
    monkeypatch.setattr(work_queue, "open_leases", lambda *asked: next(seen_before))
    monkeypatch.setattr(work_queue, "lock_next", lambda *asked: next(seen_before))

    again = card_for(session, project, ada)

    assert again.lease.token == given.lease.token


def test_what_runs_out_while_it_is_renewed_is_given_to_nobody_else(
    engine: Engine, crowd: tuple[Project, list[Person]]
) -> None:
    project, (ada, bob, *_) = crowd
    with Session(engine, expire_on_commit=False) as session:
        card = card_for(session, project, ada)
        run_out(session, card.lease)
        session.commit()

    def ask() -> Card | WhyEmpty:
        with Session(engine, expire_on_commit=False) as session:
            answer = next_card(session, project, bob)
            session.commit()
        return answer

    with Session(engine) as session, ThreadPoolExecutor(1) as pool:
        renew(session, ada, card.instance.id, card.lease.token)
        asked = pool.submit(ask)
        await_that(lambda: _waits_for_a_lock(engine), within=10)
        session.commit()
        answer = asked.result(timeout=10)

    assert isinstance(answer, Card)
    assert answer.instance.id != card.instance.id


def _waits_for_a_lock(engine: Engine) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


def test_a_card_that_is_lost_at_the_moment_it_is_asked_for_gives_way_to_another(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, ada, bob = make_project(session), make_person(session), make_person(session)
    instances_of(session, project, 2)
    lost = card_for(session, project, ada)
    seen_before = work_queue.open_leases(session, project.id, ada.id)
    run_out(session, lost.lease)
    assert card_for(session, project, bob).instance.id == lost.instance.id
    monkeypatch.setattr(work_queue, "open_leases", lambda *asked: seen_before)

    assert card_for(session, project, ada).instance.id != lost.instance.id

"""The draws of an audit are given in their order, each to one reader, and never skipped."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, delete, select, update
from sqlalchemy.orm import Session

from app.errors import Conflict, NotFound
from app.pipeline import Action, AuditState, Part
from app.review import audit_queries
from app.review.audit_queries import Draw
from app.review.audit_stream import decide, next_draw, renew
from app.review.draws import Answer, NothingToRead
from app.review.leases import take
from app.storage.tables import (
    Audit,
    Decision,
    Instance,
    Lease,
    LogEntry,
    LotRow,
    Membership,
    Person,
    Pick,
    Project,
    Run,
    Selection,
    Snippet,
    Source,
)
from tests.factories import make_person, make_project
from tests.review.audit_cases import (
    DEFECT,
    OK,
    answer,
    answers_on,
    draw_for,
    lot_of,
    make_audit,
    nothing_for,
    read_next,
)
from tests.review.review_cases import card_for, run_out, say


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def readers(session: Session, project: Project) -> list[Person]:
    return [make_person(session, project=project) for _ in range(3)]


def test_the_census_is_read_first_then_the_draws_by_position(
    session: Session, project: Project, readers: list[Person]
) -> None:
    audit = make_audit(session, project, 3, census=2)

    read = [read_next(session, audit, readers[0]).row for _ in range(5)]

    assert [(row.part, row.position) for row in read] == [
        ("census", 1),
        ("census", 2),
        ("random", 1),
        ("random", 2),
        ("random", 3),
    ]


def test_asking_again_gives_the_draw_in_hand_and_prefetch_one_more(
    session: Session, project: Project, readers: list[Person]
) -> None:
    audit = make_audit(session, project)

    given = [
        draw_for(session, audit, readers[0], prefetch=ahead).row.position
        for ahead in (False, False, True, True)
    ]

    assert given == [1, 1, 2, 2]


def test_two_readers_hold_different_draws(session: Session, project: Project, readers: list[Person]) -> None:
    audit = make_audit(session, project)

    assert [draw_for(session, audit, reader).row.position for reader in readers] == [1, 2, 3]


def test_a_draw_whose_lease_ran_out_goes_to_the_next_one_who_asks(
    session: Session, project: Project, readers: list[Person]
) -> None:
    audit = make_audit(session, project)
    ada, bob, _ = readers
    late = draw_for(session, audit, ada)
    read_next(session, audit, bob)
    run_out(session, late.lease)

    taken = draw_for(session, audit, bob)

    assert (late.row.position, taken.row.position) == (1, 1)
    with pytest.raises(Conflict, match="ask for the next draw"):
        answer(session, ada, late, OK)
    assert draw_for(session, audit, ada).row.position == 3


def test_a_lease_that_ran_out_is_still_good_while_nobody_else_asked(
    session: Session, project: Project, readers: list[Person]
) -> None:
    audit = make_audit(session, project)
    draw = draw_for(session, audit, readers[0])
    run_out(session, draw.lease)

    answer(session, readers[0], draw, OK)

    assert answers_on(session, audit) == 1


def test_reading_on_renews_what_is_in_hand(session: Session, project: Project, readers: list[Person]) -> None:
    audit = make_audit(session, project)
    ada, bob, _ = readers
    draw = draw_for(session, audit, ada)
    run_out(session, draw.lease)

    renew(session, ada, audit.id, draw.row.instance_id, draw.lease.token)

    assert draw_for(session, audit, bob).row.position == 2
    run_out(session, draw.lease)
    read_next(session, audit, bob)
    draw_for(session, audit, bob)  # the first one, by now
    with pytest.raises(Conflict, match=f"is with {bob.name} until"):
        renew(session, ada, audit.id, draw.row.instance_id, draw.lease.token)


def test_a_draw_is_never_skipped(session: Session, project: Project, readers: list[Person]) -> None:
    audit = make_audit(session, project)
    draw = draw_for(session, audit, readers[0])

    with pytest.raises(Conflict, match="never skipped"):
        answer(session, readers[0], draw, Answer(None, say(Action.SKIP, reason="unclear")))

    assert draw_for(session, audit, readers[0]).row.position == 1


def test_a_second_reader_comes_before_new_draws_and_is_never_the_first(
    session: Session, project: Project, readers: list[Person]
) -> None:
    audit = make_audit(session, project, twice=(1,))
    ada, bob, cem = readers
    read_next(session, audit, ada)

    assert draw_for(session, audit, ada).row.position == 2
    assert draw_for(session, audit, bob).row.position == 1
    assert draw_for(session, audit, cem).row.position == 3  # the second reading is in Bob's hands
    read_next(session, audit, bob)
    assert draw_for(session, audit, bob).row.position == 4


def test_without_a_number_the_oldest_audit_with_a_draw_for_the_reader_comes_first(
    session: Session, project: Project, readers: list[Person]
) -> None:
    older, newer = make_audit(session, project, 2), make_audit(session, project, 2)
    draw_for(session, older, readers[0])
    draw_for(session, older, readers[1])

    draw = next_draw(session, project, readers[2])

    assert isinstance(draw, Draw)
    assert draw.audit.id == newer.id
    with pytest.raises(NotFound):
        next_draw(session, make_project(session), readers[2], audit_id=newer.id)


def test_why_there_is_no_draw_is_said_in_numbers(
    session: Session, project: Project, readers: list[Person]
) -> None:
    ada, bob, _ = readers
    nothing = next_draw(session, project, ada)
    assert nothing == NothingToRead("empty", "There is no audit in this project to read for")
    audit = make_audit(session, project, 2, twice=(1,), max_defect_rate=0.4)

    held = [draw_for(session, audit, ada), draw_for(session, audit, ada, prefetch=True)]
    why = nothing_for(session, audit, bob)
    assert why.reason == "leased"
    assert f"all 2 draws left are with others until {held[0].lease.expires_at:%H:%M} UTC" in why.text

    for draw in held:
        answer(session, ada, draw, OK)
    why = nothing_for(session, audit, ada)
    assert (why.reason, why.text) == (
        "waiting",
        f"Audit {audit.id} is certified; waiting: 1 draw that you have read for a second reader",
    )

    read_next(session, audit, bob)
    assert nothing_for(session, audit, ada).text == (
        f"Audit {audit.id} is certified: no more draws are handed out"
    )


def test_a_closed_audit_hands_out_second_readings_only_and_an_abandoned_one_nothing(
    session: Session, project: Project, readers: list[Person]
) -> None:
    audit = make_audit(session, project, 5, twice=(1,), max_defect_rate=0.1)
    ada, bob, _ = readers
    read_next(session, audit, ada, DEFECT)  # a tenth of five rows is none
    assert audit.state == AuditState.FAILED

    assert nothing_for(session, audit, ada).reason == "waiting"
    second = draw_for(session, audit, bob)
    assert second.row.position == 1

    audit.state = AuditState.ABANDONED
    session.flush()
    assert nothing_for(session, audit, bob).reason == "empty"
    with pytest.raises(Conflict, match="abandoned"):
        answer(session, bob, second, OK)


def test_the_work_stream_and_an_audit_hand_out_the_same_instance_apart(
    session: Session, project: Project, readers: list[Person]
) -> None:
    audit = make_audit(session, project, 2)
    ada, bob, _ = readers
    in_work = card_for(session, project, bob)
    assert in_work.instance.id == lot_of(session, audit)[0].id

    draw = draw_for(session, audit, ada)

    assert draw.row.instance_id == in_work.instance.id
    assert card_for(session, project, bob).lease.token == in_work.lease.token


def test_what_a_reader_has_in_hand_for_an_audit_is_not_shown_to_them_in_the_work_stream(
    session: Session, project: Project, readers: list[Person]
) -> None:
    audit = make_audit(session, project, 2)
    ada = readers[0]
    first, second = lot_of(session, audit)
    assert card_for(session, project, ada).instance.id == first.id

    draw_for(session, audit, ada)

    assert card_for(session, project, ada).instance.id == second.id
    with pytest.raises(Conflict, match="for an audit"):
        take(session, ada, first.id)


def test_a_draw_that_is_given_to_another_at_the_moment_it_is_asked_for_is_passed_over(
    session: Session, project: Project, readers: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = make_audit(session, project)
    ada, bob, _ = readers
    held, read = draw_for(session, audit, ada), read_next(session, audit, bob)
    real = audit_queries.lock_new
    seen_before = iter([held.row, read.row])  # this query saw the time before
    monkeypatch.setattr(
        audit_queries,
        "lock_new",
        lambda *asked: next(seen_before, None) or real(*asked),
    )

    assert draw_for(session, audit, bob).row.position == 3


@pytest.fixture
def crowd(engine: Engine) -> Iterator[tuple[Project, Audit, list[Person]]]:
    """A committed audit of six draws and four readers; everything is removed again."""
    with Session(engine, expire_on_commit=False) as session:
        project = make_project(session)
        audit = make_audit(session, project, 6, max_defect_rate=0.9, twice=(1, 2, 3))
        readers = [make_person(session, project=project) for _ in range(4)]
        session.commit()
    yield project, audit, readers
    with engine.begin() as connection:
        for table in (
            Lease,
            Decision,
            LotRow,
            Audit,
            LogEntry,
            Instance,
            Pick,
            Selection,
            Snippet,
            Source,
            Run,
            Membership,
            Person,
            Project,
        ):
            connection.execute(delete(table))


def test_readers_at_the_same_moment_read_every_draw_once_and_the_chosen_ones_twice(
    engine: Engine, crowd: tuple[Project, Audit, list[Person]]
) -> None:
    project, audit, readers = crowd

    def read_all(reader: Person) -> list[int]:
        read: list[int] = []
        while True:
            with Session(engine, expire_on_commit=False) as session:
                draw = next_draw(session, project, reader, audit_id=audit.id)
                session.commit()
                if not isinstance(draw, Draw):
                    return read
                decide(session, reader, draw.row.instance_id, draw.lease.token, OK)
                session.execute(update(Audit).values(state=AuditState.OPEN))  # all six are to be read
                session.commit()
                read.append(draw.row.position)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):  # what others still held when somebody went away is read in the second turn
            list(pool.map(read_all, readers))

    with Session(engine) as session:
        said = session.execute(
            select(LotRow.position, Decision.person_id)
            .join(Decision, Decision.instance_id == LotRow.instance_id)
            .where(LotRow.part == Part.RANDOM)
            .order_by(LotRow.position)
        ).all()
    assert [position for position, _ in said] == [1, 1, 2, 2, 3, 3, 4, 5, 6]
    assert len(set(said)) == len(said)

"""What changes a label: a second reader, an adjudicator, or a defect that is found later."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.pipeline import AuditState
from app.review.audit_labels import adjudicate, disputes, find_later
from app.storage.labels import labelled_rows, standing_of
from app.storage.tables import Audit, LabelChange, LogEntry, Person, Project
from tests.factories import make_person, make_project
from tests.review.audit_cases import DEFECT, OK, lot_of, make_audit, read_next


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def readers(session: Session, project: Project) -> list[Person]:
    return [make_person(session, project=project) for _ in range(2)]


@pytest.fixture
def lead(session: Session, project: Project) -> Person:
    return make_person(session, "admin", project)


def _changes(session: Session) -> list[tuple[str, bool, bool]]:
    query = select(LabelChange.why, LabelChange.before, LabelChange.after).order_by(LabelChange.id)
    return [(why, before, after) for why, before, after in session.execute(query)]


@pytest.fixture
def disputed(session: Session, project: Project, readers: list[Person]) -> Audit:
    """The first draw is ok for one reader and a defect for the other; no defect is allowed."""
    audit = make_audit(session, project, 3, twice=(1,))
    read_next(session, audit, readers[0], OK)
    read_next(session, audit, readers[1], DEFECT)
    return audit


def test_readers_who_agree_change_nothing(session: Session, project: Project, readers: list[Person]) -> None:
    audit = make_audit(session, project, 3, twice=(1,))

    for reader in readers:
        read_next(session, audit, reader)

    assert (_changes(session), disputes(session, project.id)) == ([], [])
    assert standing_of(session, audit).draws == 1


def test_a_disagreement_is_a_defect_until_an_adjudicator_says_otherwise(
    session: Session, project: Project, lead: Person, disputed: Audit
) -> None:
    (instance, *_) = lot_of(session, disputed)
    assert _changes(session) == [("disagreement", False, True)]
    assert disputed.state == AuditState.FAILED
    assert [one.row.instance_id for one in disputes(session, project.id)] == [instance.id]

    adjudicate(session, lead, disputed.id, instance.id, defect=False, note="Zero is allowed.")

    assert _changes(session)[1:] == [("adjudicated", True, False)]
    assert (disputed.state, disputed.closed_at, disputed.why_closed) == (AuditState.OPEN, None, "")
    assert disputes(session, project.id) == []
    with pytest.raises(Conflict, match="decided already: it is ok"):
        adjudicate(session, lead, disputed.id, instance.id, defect=True)


def test_a_first_reader_who_found_the_defect_is_listed_too(
    session: Session, project: Project, readers: list[Person], lead: Person
) -> None:
    audit = make_audit(session, project, 10, twice=(1,), max_defect_rate=0.4)
    read_next(session, audit, readers[0], DEFECT)
    read_next(session, audit, readers[1], OK)
    instance = lot_of(session, audit)[0]

    adjudicate(session, lead, audit.id, instance.id, defect=True)

    assert _changes(session) == [("disagreement", True, True), ("adjudicated", True, True)]
    assert [row.defect for row in labelled_rows(session, audit.id)] == [True]


def test_a_reader_adjudicates_only_where_nobody_else_can(
    session: Session, project: Project, lead: Person, disputed: Audit, readers: list[Person]
) -> None:
    instance_id = lot_of(session, disputed)[0].id

    with pytest.raises(Forbidden, match=f"can be decided by {lead.name}"):
        adjudicate(session, readers[1], disputed.id, instance_id, defect=False)
    lead.active = False
    session.flush()

    adjudicate(session, readers[1], disputed.id, instance_id, defect=False)
    assert disputed.state == AuditState.OPEN


def test_what_is_not_disputed_waits_for_no_adjudicator(
    session: Session, project: Project, lead: Person, readers: list[Person]
) -> None:
    audit = make_audit(session, project, 3)
    read, unread, _ = lot_of(session, audit)
    read_next(session, audit, readers[0])

    for instance in (read, unread):
        with pytest.raises(Conflict, match="no two readers disagree"):
            adjudicate(session, lead, audit.id, instance.id, defect=False)
    with pytest.raises(NotFound):
        adjudicate(session, lead, audit.id, unread.id + 1000, defect=False)
    with pytest.raises(NotFound):
        adjudicate(session, lead, audit.id + 1000, read.id, defect=False)


def test_a_second_reader_who_differs_from_what_was_found_later_opens_no_dispute(
    session: Session, project: Project, lead: Person, readers: list[Person]
) -> None:
    audit = make_audit(session, project, 10, twice=(1,), max_defect_rate=0.4)
    instance_id = read_next(session, audit, readers[0], OK).row.instance_id
    find_later(session, lead, audit.id, instance_id, "It fails for zero.")

    read_next(session, audit, readers[1], DEFECT)

    assert _changes(session) == [("found later", False, True), ("disagreement", True, True)]
    assert disputes(session, project.id) == []


def test_a_defect_that_is_found_later_counts_and_never_becomes_ok_again(
    session: Session, project: Project, lead: Person, readers: list[Person]
) -> None:
    audit = make_audit(session, project, 3, max_defect_rate=0.4)
    for _ in range(2):
        read_next(session, audit, readers[0])
    assert audit.state == AuditState.CERTIFIED  # the third can be the only defect
    first, second, _ = lot_of(session, audit)

    find_later(session, lead, audit.id, first.id, " It fails for zero. ")
    assert (audit.state, standing_of(session, audit).defects) == (AuditState.OPEN, 1)
    find_later(session, lead, audit.id, second.id, "So does this.")

    assert _changes(session) == [("found later", False, True)] * 2
    assert session.scalars(select(LabelChange.note)).first() == "It fails for zero."
    assert audit.state == AuditState.FAILED
    with pytest.raises(Conflict, match="counts as a defect"):
        find_later(session, lead, audit.id, first.id, "Again.")
    with pytest.raises(Conflict, match="found to be a defect"):
        adjudicate(session, lead, audit.id, first.id, defect=False)


def test_a_defect_is_found_later_only_where_something_was_read_and_with_a_note(
    session: Session, project: Project, lead: Person, readers: list[Person]
) -> None:
    audit = make_audit(session, project, 3)
    read, unread, _ = lot_of(session, audit)
    read_next(session, audit, readers[0])

    with pytest.raises(Conflict, match="has not been read"):
        find_later(session, lead, audit.id, unread.id, "It fails.")
    with pytest.raises(InvalidInput, match="Say what the defect is"):
        find_later(session, lead, audit.id, read.id, "  ")
    audit.state = AuditState.ABANDONED
    session.flush()
    with pytest.raises(Conflict, match="abandoned"):
        find_later(session, lead, audit.id, read.id, "It fails.")


def test_every_change_of_the_state_is_in_the_log(session: Session, lead: Person, disputed: Audit) -> None:
    adjudicate(session, lead, disputed.id, lot_of(session, disputed)[0].id, defect=False)

    said = session.scalars(
        select(LogEntry.action).where(LogEntry.subject == f"audit {disputed.id}").order_by(LogEntry.id)
    )
    assert said.all() == ["audit failed", "audit open again"]

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.errors import Conflict, InvalidInput
from app.pipeline import Action, AuditState, InstanceStatus, Move
from app.prompting.exemplars import text_hash
from app.review import bulk, bulk_queries
from app.review.decision_queries import recent_decisions
from app.review.filters import Filters
from app.review.service import undo
from app.review.work_queue import progress
from app.storage.tables import (
    BulkAction,
    Decision,
    Exemplar,
    Guideline,
    Instance,
    Lease,
    LogEntry,
    Person,
    Project,
    RunExemplar,
)
from tests.factories import make_person, make_project
from tests.review.audit_cases import make_audit
from tests.review.review_cases import PlainBrowser, card_for, decide_next, instances_of, judged, run_out, say

SitDown = Callable[[Person], str]
EVERYTHING = Filters()


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def lead(session: Session, project: Project) -> Person:
    return make_person(session, "admin", project)


class Browser(PlainBrowser):
    """A lead."""

    def page(self, address: str = "/instances") -> str:
        return html.unescape(super().page(address))

    def confirm(self, move: Move, query: str = "", **fields: Any) -> Any:
        """Look at the preview, then send its form with these fields filled in."""
        page = self.page(f"/instances/bulk/new?move={move}{query and '&' + query}")
        hidden = dict(re.findall(r'type="hidden" name="(move|rows|newest)" value="([^"]*)"', page))
        address = f"/instances/bulk/new{query and '?' + query}"
        return self.send(address, **hidden | fields)


@pytest.fixture
def browser(client: TestClient, sit_down: SitDown, lead: Person) -> Browser:
    return Browser(client, sit_down(lead))


def reread(session: Session) -> None:
    """Set-based statements change rows behind the session's back."""
    session.flush()
    session.expire_all()


def do(
    session: Session, person: Person, project: Project, move: Move, filters: Filters = EVERYTHING, **said: Any
) -> BulkAction:
    seen = bulk_queries.preview(session, project.id, person.id, move, filters)
    plain = {"reason": None, "note": "", "rows": seen.rows, "newest": seen.newest}
    action = bulk.act(session, person, project, filters, bulk.Asked(move=move, **(plain | said)))
    reread(session)
    return action


def take_back(session: Session, person: Person, project: Project, action: BulkAction) -> BulkAction:
    undone = bulk.undo(session, person, project, action.id)
    reread(session)
    return undone


def bank(session: Session, project: Project) -> list[tuple[Any, ...]]:
    said = (Exemplar.content_hash, Exemplar.instance_id, Exemplar.is_good, Exemplar.origin, Exemplar.analysis)
    query = select(*said).where(Exemplar.project_id == project.id).order_by(Exemplar.content_hash)
    return [tuple(row) for row in session.execute(query)]


def decisions_of(session: Session, instance: Instance) -> list[Decision]:
    return list(
        session.scalars(select(Decision).where(Decision.instance_id == instance.id).order_by(Decision.id))
    )


# --- what would change ------------------------------------------------------------------------------------


def test_the_preview_counts_what_is_acted_on_and_what_is_left_out_and_adds_up(
    session: Session, project: Project, lead: Person
) -> None:
    rows = instances_of(session, project, 9)
    for row, status in zip(
        rows,
        ["accepted", "rejected", "rejected", "withdrawn", "unusable", "generating"],
        strict=False,
    ):
        row.status = InstanceStatus(status)
    held = card_for(session, project, make_person(session)).instance
    session.flush()

    seen = bulk_queries.preview(session, project.id, lead.id, Move.REJECT, EVERYTHING)

    assert seen.statuses == {"accepted": 1, "withdrawn": 1, "waiting": 2}
    assert seen.left_out == {
        "already rejected": 2,
        "unusable: there is no text to decide on": 1,
        "generating: there is no text to decide on": 1,
        "in the hands of another reader": 1,
    }
    assert seen.rows == 4
    assert seen.rows + sum(seen.left_out.values()) == len(rows)
    assert held.id not in [row.id for row in seen.examples]
    assert seen.newest == rows[-1].id


def test_only_ten_are_shown_as_examples(session: Session, project: Project, lead: Person) -> None:
    rows = instances_of(session, project, 12)

    seen = bulk_queries.preview(session, project.id, lead.id, Move.ACCEPT, EVERYTHING)

    assert [one.id for one in seen.examples] == [row.id for row in rows[:10]]


# --- acting -----------------------------------------------------------------------------------------------


def test_every_instance_gets_the_decision_a_reader_would_have_left(
    session: Session, project: Project, lead: Person
) -> None:
    session.add(Guideline(project_id=project.id, version=3, markdown="Read all of it."))
    one, two, other = instances_of(session, project, 3)
    other.language = "go"
    verdict = judged(session, one)
    one.solution, two.solution = "return 1", "return 2"
    session.flush()

    action = do(
        session, lead, project, Move.REJECT, Filters(language="python"), reason="unsafe", note="Calls eval."
    )

    assert (action.count, action.filters) == (2, {"language": "python"})
    assert [row.status for row in (one, two, other)] == ["rejected", "rejected", "waiting"]
    (decision,) = decisions_of(session, one)
    assert (decision.person_id, decision.stream, decision.action) == (lead.id, "work", "reject")
    assert (decision.reason, decision.note, decision.guideline_version) == ("unsafe", "Calls eval.", 3)
    assert (decision.revision, decision.verdict_id) == (0, verdict.id)
    assert decision.bulk_action_id == action.id
    assert decisions_of(session, other) == []
    entry = session.scalars(select(LogEntry).order_by(LogEntry.id.desc()).limit(1)).one()
    assert (entry.person_id, entry.action) == (lead.id, "instances rejected in bulk")
    assert entry.detail["instances"] == 2


def test_the_bank_learns_in_bulk_what_it_learns_one_by_one(
    session: Session, project: Project, lead: Person
) -> None:
    alike = make_project(session)
    for each in (project, alike):
        first, second = instances_of(session, each, 2)
        first.solution, second.solution = "return 1", "return 2"
        session.flush()
        judged(session, first)
    ada = make_person(session)
    for _ in range(2):
        decide_next(session, alike, ada, say(Action.REJECT, reason="incorrect", note="No."))

    do(session, lead, project, Move.REJECT, reason="incorrect", note="No.")

    def said(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return [(row[0], *row[2:]) for row in rows]

    assert said(bank(session, project)) == said(bank(session, alike))
    assert any(
        "Not met: The rule solves_it holds. (It returns nothing.)" in row[4] for row in bank(session, project)
    )


def test_two_instances_with_one_text_are_one_case(session: Session, project: Project, lead: Person) -> None:
    rows = instances_of(session, project, 2, solution="return 1")

    do(session, lead, project, Move.ACCEPT)

    ((content_hash, instance_id, is_good, *_),) = bank(session, project)
    assert (instance_id, is_good) == (rows[1].id, True)
    assert content_hash == text_hash(rows[0].task, rows[0].instruction, rows[0].information, rows[0].solution)


def test_a_withdrawn_instance_leaves_the_bank(session: Session, project: Project, lead: Person) -> None:
    (row,) = instances_of(session, project, 1)
    decide_next(session, project, make_person(session), say(Action.ACCEPT))
    assert len(bank(session, project)) == 1

    do(session, lead, project, Move.WITHDRAW)

    assert row.status == InstanceStatus.WITHDRAWN
    assert bank(session, project) == []


def test_a_restored_instance_comes_to_readers_again(session: Session, project: Project, lead: Person) -> None:
    accepted, rejected = instances_of(session, project, 2)
    ada = make_person(session)
    decide_next(session, project, ada, say(Action.ACCEPT))
    decide_next(session, project, ada, say(Action.REJECT, reason="other"))

    do(session, lead, project, Move.RESTORE)

    assert [accepted.status, rejected.status] == ["waiting", "waiting"]
    assert card_for(session, project, ada).instance.id == accepted.id


def test_an_instance_in_the_hands_of_a_reader_stays_theirs(
    session: Session, project: Project, lead: Person
) -> None:
    held, abandoned, free = instances_of(session, project, 3)
    card = card_for(session, project, make_person(session))
    run_out(session, card_for(session, project, make_person(session)).lease)

    action = do(session, lead, project, Move.ACCEPT)

    assert action.count == 2
    assert [row.status for row in (held, abandoned, free)] == ["waiting", "accepted", "accepted"]
    assert session.scalars(select(Lease.id)).all() == [card.lease.id]


def test_what_is_frozen_for_an_open_audit_is_left_out_but_may_be_withdrawn(
    session: Session, project: Project, lead: Person
) -> None:
    audit = make_audit(session, project, 2)
    (free,) = instances_of(session, project, 1)

    seen = bulk_queries.preview(session, project.id, lead.id, Move.ACCEPT, EVERYTHING)
    assert (seen.rows, seen.newest, seen.left_out) == (1, free.id, {"frozen for an audit": 2})
    withdrawn = do(session, lead, project, Move.WITHDRAW)
    assert withdrawn.count == 3
    assert bulk.undo(session, lead, project, withdrawn.id).taken_back == 3

    audit.state = AuditState.ABANDONED
    session.flush()
    assert do(session, lead, project, Move.ACCEPT).count == 3


def test_only_the_rows_of_the_project_are_touched(session: Session, project: Project, lead: Person) -> None:
    instances_of(session, project, 1)
    (foreign,) = instances_of(session, make_project(session), 1)

    do(session, lead, project, Move.WITHDRAW)

    assert foreign.status == InstanceStatus.WAITING


def test_a_set_that_has_changed_since_is_refused(session: Session, project: Project, lead: Person) -> None:
    rows = instances_of(session, project, 3)
    asked = {"rows": 3, "newest": rows[-1].id}
    card_for(session, project, make_person(session))

    with pytest.raises(Conflict, match="was 3 instances and is 2 now"):
        do(session, lead, project, Move.ACCEPT, **asked)

    assert session.scalar(select(func.count()).select_from(Decision)) == 0


def test_more_than_the_most_at_once_is_refused_with_the_way_out(
    session: Session, project: Project, lead: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MOST_AT_ONCE", 2)
    instances_of(session, project, 3)

    with pytest.raises(InvalidInput, match=r"At most 2 instances .* narrow the filter"):
        do(session, lead, project, Move.ACCEPT)


def test_nothing_to_change_is_said(session: Session, project: Project, lead: Person) -> None:
    with pytest.raises(InvalidInput, match="Nothing that matches"):
        do(session, lead, project, Move.ACCEPT)


# --- taking back ------------------------------------------------------------------------------------------


def test_undo_brings_back_every_status_and_the_bank_as_it_was(
    session: Session, project: Project, lead: Person
) -> None:
    rows = instances_of(session, project, 4)
    for number, row in enumerate(rows):
        row.solution = f"return {number}"
    session.flush()
    ada = make_person(session)
    decide_next(session, project, ada, say(Action.ACCEPT, note="Neat."))
    decide_next(session, project, ada, say(Action.REJECT, reason="unclear"))
    rows[2].status = InstanceStatus.WITHDRAWN
    session.flush()
    statuses, known = [row.status for row in rows], bank(session, project)

    for move in Move:
        action = do(session, lead, project, move, reason="other")
        assert [row.status for row in rows] != statuses
        take_back(session, lead, project, action)

        assert [row.status for row in rows] == statuses, move
        assert bank(session, project) == known, move
        assert action.taken_back == action.count
    assert all(one.undone_at for row in rows for one in decisions_of(session, row) if one.bulk_action_id)


def test_undo_leaves_what_somebody_has_decided_on_or_reads_now(
    session: Session, project: Project, lead: Person
) -> None:
    decided, read, free = instances_of(session, project, 3)
    for row in (decided, read, free):
        row.status = InstanceStatus.REJECTED
    session.flush()
    action = do(session, lead, project, Move.RESTORE)
    ada = make_person(session)
    decide_next(session, project, ada, say(Action.ACCEPT))
    card_for(session, project, ada)

    take_back(session, lead, project, action)

    assert [row.status for row in (decided, read, free)] == ["accepted", "waiting", "rejected"]
    assert (action.count, action.taken_back) == (3, 1)


def test_a_case_that_a_run_has_frozen_stays_as_it_was_shown(
    session: Session, project: Project, lead: Person
) -> None:
    (row,) = instances_of(session, project, 1)
    decide_next(session, project, make_person(session), say(Action.ACCEPT))
    frozen = session.scalars(select(Exemplar.id).where(Exemplar.project_id == project.id)).one()
    session.add(RunExemplar(run_id=row.run_id, exemplar_id=frozen))
    session.flush()
    known = bank(session, project)

    action = do(session, lead, project, Move.REJECT, reason="other")
    assert bank(session, project) == known
    take_back(session, lead, project, action)
    assert bank(session, project) == known


def test_an_action_is_undone_once(session: Session, project: Project, lead: Person) -> None:
    instances_of(session, project, 1)
    action = do(session, lead, project, Move.ACCEPT)
    take_back(session, lead, project, action)

    with pytest.raises(Conflict, match="undone already"):
        take_back(session, lead, project, action)


def test_the_last_ten_decisions_are_those_made_one_by_one(
    session: Session, project: Project, lead: Person
) -> None:
    instances_of(session, project, 3)
    own = decide_next(session, project, lead, say(Action.ACCEPT))
    do(session, lead, project, Move.ACCEPT)

    assert recent_decisions(session, project.id, lead.id, 10) == [own.id]
    assert progress(session, project.id, lead.id).mine_today == 1
    in_bulk = session.scalars(select(Decision.id).where(Decision.bulk_action_id.is_not(None))).first()
    assert in_bulk is not None
    with pytest.raises(Conflict, match="undone with all of bulk action"):
        undo(session, lead, in_bulk)


# --- the forms --------------------------------------------------------------------------------------------


def test_from_the_filtered_list_to_a_result_with_undo(
    session: Session, project: Project, browser: Browser
) -> None:
    rows = instances_of(session, project, 2)
    rows[0].language = "go"
    session.flush()
    assert 'href="/instances/bulk/new?language=go"' in browser.page("/instances?language=go")

    preview = browser.page("/instances/bulk/new?language=go&move=accept")
    assert "Accept: 1 instance" in preview
    assert not re.search(r"\sstyle=|\son[a-z]+=", preview)
    answer = browser.confirm(Move.ACCEPT, "language=go")

    assert answer.status_code == 303
    address = answer.headers["location"]
    reread(session)
    assert [row.status for row in rows] == ["accepted", "waiting"]
    assert "1 instances accepted" in browser.page(address)
    assert f'href="{address}"' in browser.page("/instances/bulk")
    assert "in bulk action" in browser.page(f"/instances/{rows[0].id}")

    undone = browser.send(f"{address}/undo")
    assert undone.headers["location"] == address
    reread(session)
    assert rows[0].status == InstanceStatus.WAITING
    assert "undone, 1 of 1 taken back" in browser.page(address)
    assert browser.send(f"{address}/undo").status_code == 409


def test_an_unknown_or_missing_reason_comes_back_at_its_field_with_the_note(
    session: Session, project: Project, browser: Browser
) -> None:
    (row,) = instances_of(session, project, 1)

    for reason in ("", "boring"):
        answer = browser.confirm(Move.REJECT, reason=reason, note="Off by <one>.")
        assert answer.status_code == 422
        assert re.search(r'id="reason-error">[^<]*incorrect, incomplete', answer.text)
        assert 'aria-describedby="reason-error"' in answer.text
        assert html.escape("Off by <one>.") in answer.text
    reread(session)
    assert row.status == InstanceStatus.WAITING


def test_a_changed_set_comes_back_with_the_new_numbers(
    session: Session, project: Project, browser: Browser
) -> None:
    rows = instances_of(session, project, 2)

    answer = browser.confirm(Move.ACCEPT, rows=1, newest=rows[0].id)

    assert answer.status_code == 409
    assert "it was 1 instances and is 2 now" in answer.text
    assert 'name="rows" value="2"' in answer.text
    assert f'name="newest" value="{rows[1].id}"' in answer.text


def test_an_annotator_may_not_act_in_bulk(
    session: Session, project: Project, lead: Person, client: TestClient, sit_down: SitDown
) -> None:
    (row,) = instances_of(session, project, 1)
    action = do(session, lead, project, Move.WITHDRAW)
    ada = Browser(client, sit_down(make_person(session, project=project)))

    assert "bulk" not in ada.page("/instances")
    assert client.get("/instances/bulk/new").status_code == 403
    confirmed = ada.send("/instances/bulk/new", move="accept", rows=1, newest=row.id)
    assert confirmed.status_code == 403
    assert ada.send(f"/instances/bulk/{action.id}/undo").status_code == 403
    reread(session)
    assert row.status == InstanceStatus.WITHDRAWN


def test_an_action_of_another_project_is_not_there(session: Session, browser: Browser) -> None:
    other = make_project(session)
    instances_of(session, other, 1)
    action = do(session, make_person(session, "admin", other), other, Move.ACCEPT)

    assert browser.client.get(f"/instances/bulk/{action.id}").status_code == 404
    assert browser.send(f"/instances/bulk/{action.id}/undo").status_code == 404

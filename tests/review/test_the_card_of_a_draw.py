"""The review page of an audit, as plain forms: blind, ok or defect first, an edit after."""

import html
import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.pipeline import AuditState
from app.storage.tables import Audit, Decision, Lease, Person, Project, Revision
from tests.factories import make_person, make_project
from tests.review.audit_cases import DEFECT, OK, draw_for, lot_of, make_audit, read_next
from tests.review.review_cases import PlainBrowser, card_for, judged, run_out

SitDown = Callable[[Person], str]


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def ada(session: Session, project: Project) -> Person:
    return make_person(session, project=project)


@pytest.fixture
def audit(session: Session, project: Project) -> Audit:
    return make_audit(session, project, 40, max_defect_rate=0.1, twice=(1,))


@pytest.fixture
def reader(client: TestClient, sit_down: SitDown, ada: Person) -> PlainBrowser:
    return PlainBrowser(client, sit_down(ada))


class Draws:
    """The draws of one audit at a plain browser."""

    def __init__(self, reader: PlainBrowser, audit: Audit) -> None:
        self.reader, self.audit = reader, audit
        self.address = f"/review?stream=audit&audit={audit.id}"

    def page(self, more: str = "") -> str:
        return html.unescape(self.reader.page(self.address + more))

    def answer(self, page: str, choice: str, **fields: str) -> tuple[int, str]:
        """Press a button of the page; (status, page)."""
        form = re.search(r'<form id="decision"[^>]* action="([^"]+)"', page)
        assert form is not None
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
        answer = self.reader.send(form[1], **(hidden | {"choice": choice} | fields))
        return answer.status_code, html.unescape(answer.text)


@pytest.fixture
def draws(reader: PlainBrowser, audit: Audit) -> Draws:
    return Draws(reader, audit)


def test_the_card_says_which_draw_it_is_and_hides_what_was_said(
    session: Session, project: Project, audit: Audit, draws: Draws
) -> None:
    first = lot_of(session, audit)[0]
    judged(session, first)

    page = draws.page()

    assert f"Audit {audit.id}</a>, draw 1 of 40" in page
    assert re.search(r"0 counted ·\s*about <b>\d+</b> more until certified at the present rate", page)
    assert f"#{first.id}</a>" in page
    for told in ("solves_it", "Verdict", "Evidence", "verdict fail", 'value="skip"', "/review/undo"):
        assert told not in page
    assert not re.search(r"\sstyle=|\son[a-z]+=", page)


def test_both_streams_are_one_link_away_from_each_other(
    session: Session, audit: Audit, reader: PlainBrowser, draws: Draws
) -> None:
    here = f'href="/review?stream=audit&amp;audit={audit.id}"'
    assert here in reader.page("/review")
    assert f'{html.unescape(here)} aria-current="page"' in draws.page()

    audit.state = AuditState.ABANDONED
    session.flush()
    assert here not in reader.page("/review")
    assert "is abandoned: no more draws are handed out" in draws.page()


def test_ok_is_one_button_and_goes_on_to_the_next_draw(session: Session, draws: Draws) -> None:
    status, _ = draws.answer(draws.page(), "ok", note="Fine.", reason="incorrect")

    assert status == 303
    decision = session.scalars(select(Decision)).one()
    assert (decision.defect, decision.action, decision.reason, decision.note) == (
        False,
        "accept",
        None,
        "Fine.",
    )
    assert "draw 2 of 40" in draws.page()


def test_a_defect_asks_for_its_reason_and_then_what_becomes_of_it(session: Session, draws: Draws) -> None:
    page = draws.page()
    status, refused = draws.answer(page, "defect", note="Off by <one>.")
    assert status == 422
    assert "A defect needs a reason, one of: incorrect" in refused
    assert "Off by <one>." in refused

    status, asked = draws.answer(page, "defect", reason="incorrect", note="Off by <one>.")
    assert (status, session.scalars(select(Decision)).all()) == (200, [])
    assert 'value="leave_out"' in asked

    draws.answer(asked, "leave_out", note="Off by <one>.")
    decision = session.scalars(select(Decision)).one()
    assert (decision.defect, decision.action, decision.reason, decision.note) == (
        True,
        "reject",
        "incorrect",
        "Off by <one>.",
    )


def test_a_defect_is_corrected_in_the_editor(session: Session, audit: Audit, draws: Draws) -> None:
    _, asked = draws.answer(draws.page(), "defect", reason="incorrect")
    _, editor = draws.answer(asked, "correct")
    assert "data-editing" in editor

    draws.answer(editor, "edit", instruction="Say how.", information="", solution="return 2\r\n")

    decision = session.scalars(select(Decision)).one()
    assert (decision.defect, decision.action, decision.new_revision) == (True, "edit", 1)
    text = session.scalars(select(Revision.solution).where(Revision.number == 1)).one()
    assert text == "return 2\n"
    assert lot_of(session, audit)[0].revision == 0


def test_what_is_ok_may_be_polished(session: Session, audit: Audit, draws: Draws) -> None:
    page = draws.page("&edit=1")
    first = lot_of(session, audit)[0]

    status, same = draws.answer(
        page, "edit", instruction=first.instruction, information="", solution=first.solution
    )
    assert (status, "Nothing is changed" in same) == (422, True)
    draws.answer(same, "edit", instruction="Better.", information="", solution=first.solution)

    decision = session.scalars(select(Decision)).one()
    assert (decision.defect, decision.action) == (False, "edit")


def test_a_lost_draw_keeps_what_was_typed_and_says_who_has_it(
    session: Session, project: Project, audit: Audit, draws: Draws
) -> None:
    page = draws.page("&edit=1")
    run_out(session, session.scalars(select(Lease)).one())
    bob = make_person(session, project=project)
    assert draw_for(session, audit, bob).row.position == 1

    status, refused = draws.answer(page, "edit", instruction="Mine.", information="", solution="return 42")

    assert status == 409
    assert re.search(r"<textarea[^>]*name=\"solution\"[^>]*>\nreturn 42</textarea>", refused)
    assert "Next draw" in refused
    assert 'name="lease"' not in refused
    assert "draw 2 of 40" in draws.page()


def test_htmx_gets_the_next_card_alone(draws: Draws) -> None:
    page = draws.page()
    draws.reader.client.headers["HX-Request"] = "true"

    status, card = draws.answer(page, "ok")

    assert (status, card.strip()[:17]) == (200, '<article id="card')
    assert "draw 2 of 40" in card


def test_reading_renews_the_draw(session: Session, audit: Audit, draws: Draws) -> None:
    page = draws.page()
    lease = session.scalars(select(Lease)).one()
    run_out(session, lease)
    address = re.search(r'data-renew="([^"]+)"', page)
    assert address is not None

    assert draws.reader.send(address[1], lease=lease.token).status_code == 204
    bob = make_person(session)
    assert draw_for(session, audit, bob).row.position == 2
    assert draws.reader.send(address[1], lease="another").status_code == 409


def test_the_pages_of_the_work_stream_do_not_show_what_is_read_blind(
    session: Session, project: Project, ada: Person, audit: Audit, draws: Draws
) -> None:
    first = lot_of(session, audit)[0]
    judged(session, first)
    in_work = card_for(session, project, ada)
    draws.page()

    decided = draws.reader.send(f"/review/{first.id}/decide", lease=in_work.lease.token, action="accept")
    looked_at = draws.reader.page(f"/instances/{first.id}")

    assert (decided.status_code, "solves_it" in decided.text) == (409, False)
    assert "for an audit, blind: answer that first" in html.unescape(decided.text)
    assert "solves_it" not in looked_at
    assert f'You are reading it for <a href="/review?stream=audit&amp;audit={audit.id}">' in looked_at


def test_an_audit_of_another_project_is_not_there(session: Session, reader: PlainBrowser) -> None:
    other = make_audit(session, make_project(session))
    instance = lot_of(session, other)[0]

    assert reader.client.get(f"/review?stream=audit&audit={other.id}").status_code == 404
    address = f"/review/audits/{other.id}/{instance.id}/answer"
    assert reader.send(address, choice="ok", lease="x").status_code == 404


@pytest.fixture
def lead(session: Session, project: Project) -> Person:
    return make_person(session, "admin", project)


def test_an_adjudicator_sees_both_readings_and_decides(
    session: Session,
    project: Project,
    ada: Person,
    audit: Audit,
    lead: Person,
    client: TestClient,
    sit_down: SitDown,
) -> None:
    bob = make_person(session, project=project)
    instance_id = read_next(session, audit, ada, OK).row.instance_id
    read_next(session, audit, bob, DEFECT)
    browser = PlainBrowser(client, sit_down(lead))
    address = f"/adjudication/audits/{audit.id}/{instance_id}"
    assert f'href="{address}"' in browser.page("/adjudication")

    page = browser.page(address)
    assert page.index(f"What {ada.name} said") < page.index(f"What {bob.name} said")
    assert browser.send(address, choice="maybe").status_code == 422
    assert browser.send(address, choice="ok", note="Zero is allowed.").status_code == 303

    assert f'href="{address}"' not in browser.page("/adjudication")
    assert "does not wait for an adjudicator" in browser.page(address)
    assert browser.send(address, choice="defect").status_code == 409


def test_an_administrator_records_a_defect_that_is_found_later(
    session: Session, ada: Person, audit: Audit, lead: Person, client: TestClient, sit_down: SitDown
) -> None:
    instance_id = read_next(session, audit, ada, OK).row.instance_id
    browser = PlainBrowser(client, sit_down(lead))
    address = f"/instances/{instance_id}/audits/{audit.id}/defect"
    assert f'action="{address}"' in browser.page(f"/instances/{instance_id}")

    browser.send(address, note="It fails for zero.")

    assert f'action="{address}"' not in browser.page(f"/instances/{instance_id}")

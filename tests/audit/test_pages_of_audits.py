"""The list, the form that freezes a lot, and an audit while it is read; all of it as plain HTML."""

import re

import pytest
from fastapi import FastAPI
from httpx import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.pipeline import AuditState
from app.storage.tables import Audit, Person, Project
from tests.audit.lots import lot_of, make_audit, make_instances, read, read_all
from tests.factories import make_person
from tests.web.clients import signed_in


@pytest.fixture
def admin(session: Session, project: Project) -> Person:
    return make_person(session, role="admin", project=project)


def text_of(page: Response) -> str:
    """The words of a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))


def newest(session: Session) -> Audit | None:
    return session.scalars(select(Audit).order_by(Audit.id.desc()).limit(1)).one_or_none()


def form_on(page: Response) -> dict[str, str | list[str]]:
    """What the form on it sends when nobody changes anything."""
    fields = dict(re.findall(r'<input id="\w+" name="(\w+)"[^>]* value="([^"]*)"', page.text))
    ticked = re.findall(r'<input type="checkbox" name="block" value="(\w+)" checked', page.text)
    hidden = re.findall(r'<input type="hidden" name="newest" value="(\d+)"', page.text)
    return {**fields, "block": ticked, "census": "none", "newest": hidden[0]}


def test_where_there_is_none_the_page_says_what_an_audit_is(
    session: Session, project: Project, app: FastAPI
) -> None:
    page = signed_in(app, session, make_person(session, project=project)).get("/audits")

    assert "An audit says how good a whole set is" in page.text
    assert "/audits/new" not in page.text


def test_from_a_run_it_takes_one_press_to_freeze_what_it_made(
    session: Session, project: Project, app: FastAPI, admin: Person
) -> None:
    wanted = make_instances(session, project, 200)
    make_instances(session, project, 3)
    browser = signed_in(app, session, admin)

    page = browser.get("/audits/new", params={"run": wanted[0].run_id})
    answer = browser.post("/audits/new", data=form_on(page))

    audit = newest(session)
    assert audit is not None
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/audits/{audit.id}")
    assert (audit.rows, audit.max_defect_rate, audit.alpha) == (200, 0.02, 0.05)
    assert audit.person_id == admin.id


def test_the_form_counts_before_anything_is_frozen(
    session: Session, project: Project, app: FastAPI, admin: Person
) -> None:
    make_instances(session, project, 300)
    make_instances(session, project, 7, verdict="fail")
    make_instances(session, project, 2, instruction="The same.")
    browser = signed_in(app, session, admin)

    page = browser.get(
        "/audits/new",
        params={"max_defect_rate": "2", "alpha": "5", "census": "read", "block": ["exact_duplicate"]},
    )

    words = text_of(page)
    assert "Rows to draw from 301" in words
    assert "Rows read in full 7" in words
    assert "Kept out: exact duplicate 1" in words
    assert "Defects tolerated 6" in words
    assert "no defects 0 1" in words  # draws, on average: a hundred and some
    assert newest(session) is None


def test_for_htmx_the_form_comes_alone_with_what_is_wrong_beside_its_field(
    session: Session, project: Project, app: FastAPI, admin: Person
) -> None:
    browser = signed_in(app, session, admin)

    page = browser.get(
        "/audits/new", params={"max_defect_rate": "much", "alpha": "5"}, headers={"HX-Request": "true"}
    )

    assert page.text.lstrip().startswith("<form")
    assert "“much” is not a number of percent" in page.text
    assert 'aria-invalid="true"' in page.text


def test_what_cannot_be_frozen_stays_on_the_form(
    session: Session, project: Project, app: FastAPI, admin: Person
) -> None:
    browser = signed_in(app, session, admin)

    empty = browser.post("/audits/new", data={"max_defect_rate": "2", "alpha": "5"})
    wrong = browser.post("/audits/new", data={"max_defect_rate": "2", "alpha": "500", "runs": "12"})

    assert (empty.status_code, wrong.status_code) == (409, 422)
    assert "nothing would be in this lot" in empty.text
    assert "alpha is a share above 0 and below 1" in wrong.text
    assert 'value="12"' in wrong.text


def test_pressing_twice_freezes_once(session: Session, project: Project, app: FastAPI, admin: Person) -> None:
    make_instances(session, project, 20)
    browser = signed_in(app, session, admin)
    form = form_on(browser.get("/audits/new"))

    browser.post("/audits/new", data=form)
    again = browser.post("/audits/new", data=form)

    audit = newest(session)
    assert audit is not None
    assert again.status_code == 409
    assert f"Audit {audit.id} was frozen since this form was opened" in again.text
    assert session.query(Audit).count() == 1


def test_only_admins_freeze_and_abandon(session: Session, project: Project, app: FastAPI) -> None:
    make_instances(session, project, 2)
    audit = make_audit(session, project)
    browser = signed_in(app, session, make_person(session, project=project))

    assert browser.get("/audits/new").status_code == 403
    assert browser.post("/audits/new", data={}).status_code == 403
    assert browser.post(f"/audits/{audit.id}/abandon", data={"why": "no"}).status_code == 403
    assert f"/review?stream=audit&amp;audit={audit.id}" in browser.get(f"/audits/{audit.id}").text


def test_the_page_follows_the_draws_and_has_the_numbers_as_a_table(
    session: Session, project: Project, app: FastAPI, admin: Person
) -> None:
    make_instances(session, project, 100)
    audit = make_audit(session, project, max_defect_rate=0.1)
    browser = signed_in(app, session, admin)
    before = browser.get(f"/audits/{audit.id}")
    rows = lot_of(session, audit)
    read(session, audit, rows[0], defect=True)
    read_all(session, audit, rows[1:4])

    page = browser.get(f"/audits/{audit.id}")

    assert "Nothing is read yet" in before.text
    words = text_of(page)
    assert "4 draws read of 100 1 defect among them" in words
    bounds = re.search(r"data-bounds=\"\[(\d+), (\d+), (\d+), (\d+)\]\"", page.text)
    assert bounds is not None
    assert f"4 1 {bounds[4]} {bounds[4]}.0 %" in words  # the last line of the table


def test_what_is_shown_already_is_not_sent_again(
    session: Session, project: Project, app: FastAPI, admin: Person
) -> None:
    make_instances(session, project, 10)
    audit = make_audit(session, project)
    browser = signed_in(app, session, admin)
    asks = re.search(r'hx-get="(/audits/\d+\?shown=\w+)"', browser.get(f"/audits/{audit.id}").text)
    assert asks is not None
    htmx = {"HX-Request": "true"}

    same = browser.get(asks[1], headers=htmx)
    read(session, audit, lot_of(session, audit)[0])
    changed = browser.get(asks[1], headers=htmx)

    assert (same.status_code, same.text) == (204, "")
    assert changed.text.lstrip().startswith('<div id="audit-live"')
    assert 'id="audit-numbers" hx-swap-oob="true"' in changed.text


def test_a_certified_audit_leads_to_its_release_and_asks_no_more(
    session: Session, project: Project, app: FastAPI, admin: Person
) -> None:
    make_instances(session, project, 20)
    audit = make_audit(session, project, max_defect_rate=0.2)
    read_all(session, audit, lot_of(session, audit))
    audit.state = AuditState.CERTIFIED
    browser = signed_in(app, session, admin)

    page = browser.get(f"/audits/{audit.id}")
    release = browser.get("/releases/new", params={"audit": audit.id})
    on_quality = text_of(browser.get("/quality"))

    assert f"/releases/new?audit={audit.id}" in page.text
    assert "hx-trigger" not in page.text
    assert f'name="audit_id" value="{audit.id}"' in release.text
    assert 'name="block"' not in release.text
    assert "at most 20 % defects, shown after" in on_quality
    built = browser.post("/releases/new", data={"name": "first", "audit_id": str(audit.id)})
    assert built.status_code == 303


def test_an_abandoned_one_says_why_and_is_named_by_the_next(
    session: Session, project: Project, app: FastAPI, admin: Person
) -> None:
    make_instances(session, project, 20)
    audit = make_audit(session, project)
    browser = signed_in(app, session, admin)

    browser.post(f"/audits/{audit.id}/abandon", data={"why": "The wrong filter."})
    page = browser.get(f"/audits/{audit.id}")
    form = text_of(browser.get("/audits/new"))
    listed = text_of(browser.get("/audits"))

    assert "The wrong filter." in page.text
    assert "Abandon this audit" not in page.text
    assert f"Not the first: audit {audit.id} shares 20 of these rows and is abandoned" in form
    assert f"Audit {audit.id} abandoned" in listed


def test_overview_and_quality_say_how_many_reviews_are_left(
    session: Session, project: Project, app: FastAPI, admin: Person
) -> None:
    make_instances(session, project, 300)
    audit = make_audit(session, project)
    browser = signed_in(app, session, admin)

    for address in ("/", "/quality"):
        words = text_of(browser.get(address))
        assert re.search(rf"Audit {audit.id} : about \d+ more reviews until this release", words), address

"""The page of an audit follows the labels by itself: chart and numbers move, what somebody opened stays open."""

import re

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from app.accounts.sessions import open_session
from app.storage.tables import Audit, Project
from app.web.dependencies import SESSION_COOKIE
from tests.audit.lots import lot_of, make_audit, read
from tests.browser.conftest import Desk, Product

pytestmark = pytest.mark.browser


def test_an_audit_is_followed_live(browser: Browser, product: Product, desk: Desk) -> None:
    with product.sessions.begin() as session:
        project = session.get_one(Project, desk.project.id)
        audit_id = make_audit(session, project, max_defect_rate=0.4).id
        cookie = open_session(session, desk.person)

    def read_draw(position: int) -> None:
        with product.sessions.begin() as session:
            audit = session.scalars(select(Audit).where(Audit.id == audit_id)).one()
            read(session, audit, lot_of(session, audit)[position - 1])

    read_draw(1)
    with browser.new_context(base_url=product.address) as context:
        context.add_cookies([{"name": SESSION_COOKIE, "value": cookie, "url": product.address}])
        page = context.new_page()
        page.goto(f"/audits/{audit_id}")
        page.get_by_text("The numbers behind the chart").click()
        lines = page.locator("#audit-numbers tbody tr")
        expect(page.locator("#audit-chart canvas")).to_have_count(1)
        expect(lines).to_have_count(1)

        read_draw(2)

        expect(lines).to_have_count(2, timeout=10_000)
        expect(lines.last).to_be_visible()
        expect(page.get_by_label("State")).to_contain_text(re.compile(r"2\s*draws read of 10"))
        expect(page.locator("#audit-chart canvas")).to_have_count(1)

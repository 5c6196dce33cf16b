"""What is typed is on the server a moment later: a reload, another tab and a lost lease bring it back."""

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete, select

from app.storage.tables import Draft, Lease, Revision
from tests.browser.conftest import Product

pytestmark = pytest.mark.browser


def test_a_text_outlives_the_tab_and_the_lease_and_ends_in_the_decision(page: Page, product: Product) -> None:
    page.keyboard.press("Enter")  # the guideline
    card = page.locator("#card").get_attribute("data-instance")
    page.keyboard.press("e")
    page.keyboard.type("# mine\n")
    expect(page.locator("#draft")).to_contain_text("draft saved")

    with product.sessions.begin() as session:
        session.execute(delete(Lease))
    page.reload()

    expect(page.locator("#card")).to_have_attribute("data-instance", str(card))
    expect(page.get_by_text("Your draft from")).to_be_visible()
    expect(page.locator("#text-solution")).to_have_value(re.compile("^# mine\n"))

    second = page.context.new_page()
    second.goto("/review")
    expect(second.locator("#text-solution")).to_have_value(re.compile("^# mine\n"))
    second.close()

    page.locator("#text-solution").focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#card")).not_to_have_attribute("data-instance", str(card))
    with product.sessions() as session:
        assert session.scalars(select(Draft)).all() == []
        newest = select(Revision.solution).order_by(Revision.number.desc(), Revision.id.desc()).limit(1)
        assert session.scalars(newest).one().startswith("# mine\n")

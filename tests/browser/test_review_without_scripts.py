"""The review page where JavaScript is off: accept, edit, reject and skip are plain forms."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from app.storage.tables import Decision
from tests.browser.conftest import PASSWORD, Desk, Product

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, product: Product, desk: Desk) -> Iterator[Page]:
    with browser.new_context(base_url=product.address, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/signin?next=/review")
        page.get_by_label("Name").fill(desk.person.name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        yield page


def test_accept_edit_reject_skip_and_undo(page: Page, product: Product) -> None:
    def go_on(button: str) -> None:
        before = str(page.locator("#card").get_attribute("data-instance"))
        page.get_by_role("button", name=button).click()
        expect(page.locator("#card")).not_to_have_attribute("data-instance", before)

    go_on("Accept")

    page.get_by_role("link", name="Edit").click()
    solution = page.get_by_role("textbox", name="Solution")
    solution.fill("# clearer\n" + solution.input_value())
    go_on("Save edit")

    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("alert")).to_contain_text("Reject needs a reason")
    page.get_by_label("Reason").select_option("incorrect")
    go_on("Reject")

    page.get_by_label("Reason").select_option("unclear")
    go_on("Skip")

    go_on("Undo last")
    with product.sessions() as session:
        decisions = session.scalars(select(Decision).order_by(Decision.id)).all()
    assert [one.action for one in decisions] == ["accept", "edit", "reject", "skip"]
    assert [one.undone_at is not None for one in decisions] == [False, False, False, True]

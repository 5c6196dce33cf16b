"""What is typed is on the server a moment later: a reload, another tab and a lost lease bring it back."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sqlalchemy import delete, select

from app.storage.tables import Draft, Lease, Revision
from tests.browser.conftest import Product, await_stored, editor_of
from tests.waiting import await_that

pytestmark = pytest.mark.browser

SAVED = re.compile(r"^draft saved \d\d:\d\d$")


def _drafts(product: Product) -> list[str]:
    with product.sessions() as session:
        return list(session.scalars(select(Draft.solution)))


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

    editor_of(page).focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#card")).not_to_have_attribute("data-instance", str(card))
    await_stored(page)
    with product.sessions() as session:
        assert session.scalars(select(Draft)).all() == []
        newest = select(Revision.solution).order_by(Revision.number.desc(), Revision.id.desc()).limit(1)
        assert session.scalars(newest).one().startswith("# mine\n")


def test_what_the_last_moment_held_is_sent_on_the_way_out(page: Page, product: Product) -> None:
    page.keyboard.press("e")
    page.keyboard.type("# first\n")
    expect(page.locator("#draft")).to_have_text(SAVED)

    page.keyboard.type("# last\n")
    page.goto("/")

    await_that(lambda: _drafts(product)[0].startswith("# first\n# last\n"), within=5)


def test_of_two_tabs_both_texts_stay_at_hand(page: Page, product: Product) -> None:
    expect(editor_of(page)).to_be_focused()
    second = page.context.new_page()
    second.goto("/review")
    theirs, said = second.locator("#text-solution"), second.locator("#draft")
    expect(theirs).to_have_value(re.compile("^# first\n# last\n"))

    page.bring_to_front()
    editor_of(page).press_sequentially("# newer\n")
    expect(page.locator("#draft")).to_have_text(SAVED)
    second.bring_to_front()
    editor_of(second).press_sequentially("# stale\n")
    expect(said).to_have_text(re.compile("^draft not saved: another tab saved"))
    assert _drafts(product)[0].startswith("# newer\n# first")

    second.get_by_role("button", name="Load the other tab's text").click()
    expect(theirs).to_have_value(re.compile("^# newer\n# first"))
    second.get_by_role("button", name="Back to this tab's text").click()
    expect(theirs).to_have_value(re.compile("^# stale\n# first"))
    await_that(lambda: _drafts(product)[0].startswith("# stale\n# first"), within=5)
    second.close()


def test_without_a_lease_it_is_still_saved_and_discarding_shows_the_instance_as_it_was(
    page: Page, product: Product
) -> None:
    solution = page.locator("#text-solution")
    original = solution.get_attribute("data-original")
    with product.sessions.begin() as session:
        session.execute(delete(Lease))
    editor_of(page).press_sequentially("# no lease\n")
    expect(page.locator("#draft")).to_have_text(SAVED)
    assert _drafts(product)[0].startswith("# no lease\n")

    page.goto(f"/instances/{page.locator('#card').get_attribute('data-instance')}")
    page.get_by_text("Your draft from").click()
    expect(page.locator("#draft-solution")).to_contain_text("# no lease")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()

    page.goto("/review")
    page.get_by_role("button", name="Discard draft").click()
    expect(page.get_by_text("Your draft from")).not_to_be_visible()
    page.keyboard.press("e")
    expect(solution).to_have_value(str(original))
    assert _drafts(product) == []

"""One reader, no mouse: the draws of an audit in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.storage.tables import Audit, Decision, Project
from tests.audit.lots import make_audit
from tests.browser.conftest import Desk, Product, editor_of

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def audit(product: Product, desk: Desk) -> Audit:
    with product.sessions.begin() as session:
        project = session.get_one(Project, desk.project.id)
        return make_audit(session, project, max_defect_rate=0.5, double_share=0.0)


def _press_and_wait_for(page: Page, draw: int, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
    expect(page.locator("#card")).to_contain_text(f"draw {draw} of")
    expect(page.locator("#card")).to_be_focused()


def test_ok_a_defect_and_edits_by_keyboard_alone(page: Page, product: Product, audit: Audit) -> None:
    expect(page.locator("#guideline")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#guideline")).not_to_be_visible()
    page.get_by_role("link", name=f"Audit {audit.id}").click()
    expect(page.get_by_text("Audit stream")).to_be_visible()
    expect(page.locator("#card")).to_be_focused()  # the script listens
    expect(page.get_by_text("Verdict")).to_have_count(0)

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("It is a defect")
    page.keyboard.press("Escape")
    page.keyboard.press("s")  # there is no skipping
    page.keyboard.press("u")
    _press_and_wait_for(page, 2, "a")

    page.keyboard.press("x")
    expect(page.get_by_role("dialog", name="Defect: why?")).to_be_visible()
    page.keyboard.press("2")
    expect(page.get_by_role("button", name="Leave it out")).to_be_visible()
    expect(page.locator("#announce")).to_contain_text("It is a defect: correct it, or leave it out")
    _press_and_wait_for(page, 3, "x")

    page.keyboard.press("x")
    page.keyboard.press("1")
    expect(page.get_by_role("button", name="Correct it")).to_be_visible()
    page.keyboard.press("e")
    expect(editor_of(page)).to_be_focused()
    page.keyboard.type("# corrected\n")
    _press_and_wait_for(page, 4, "Control+Enter")

    page.keyboard.press("e")
    expect(editor_of(page)).to_be_focused()
    page.keyboard.type("# polished\n")
    expect(page.locator("#text-solution")).to_have_value(re.compile("^# polished"))
    page.keyboard.press("Escape")
    expect(editor_of(page)).not_to_be_visible()
    page.keyboard.press("e")
    _press_and_wait_for(page, 5, "Control+Enter")

    with product.sessions() as session:
        said = session.scalars(select(Decision).order_by(Decision.id)).all()
    assert [(one.defect, one.action, one.reason, one.new_revision is not None) for one in said] == [
        (False, "accept", None, False),
        (True, "reject", "incomplete", False),
        (True, "edit", "incorrect", True),
        (False, "edit", None, True),
    ]

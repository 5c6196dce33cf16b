"""One reader, no mouse: the work queue in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.pipeline import Action, InstanceStatus
from app.storage.tables import Decision, GuidelineSeen, Instance, RuleOverride
from tests.browser.conftest import Desk, Product, await_stored, editor_of

pytestmark = pytest.mark.browser


def _on_screen(page: Page) -> int:
    number = page.locator("#card").get_attribute("data-instance")
    assert number is not None
    return int(number)


def _press_and_wait_for_another(page: Page, *keys: str) -> None:
    before = page.locator("#card").get_attribute("data-instance")
    for key in keys:
        page.keyboard.press(key)
    expect(page.locator("#card")).not_to_have_attribute("data-instance", str(before))
    expect(page.locator("#card")).to_be_focused()
    await_stored(page)


def test_four_decisions_by_keyboard_alone(page: Page, product: Product, desk: Desk) -> None:
    # The guideline opens on the first visit, and only then.
    expect(page.get_by_role("dialog", name=re.compile("Guideline"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#guideline")).not_to_be_visible()
    expect(page.locator("#card")).to_be_focused()

    accepted = _on_screen(page)
    _press_and_wait_for_another(page, "a")
    expect(page.locator("#announce")).to_contain_text(f"Instance {_on_screen(page)}")

    edited = _on_screen(page)
    page.keyboard.press("e")
    expect(editor_of(page)).to_be_focused()
    page.keyboard.type("# aejksux?1 are letters here\n")
    page.keyboard.press("Escape")
    expect(editor_of(page)).not_to_be_visible()
    page.keyboard.press("e")
    expect(page.locator("#text-solution")).to_have_value(re.compile("^# aejksux"))
    _press_and_wait_for_another(page, "Control+Enter")

    rejected = _on_screen(page)
    page.keyboard.press("1")
    page.keyboard.press("Backspace")
    page.keyboard.press("n")
    page.keyboard.type("Not what was asked.")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    expect(page.get_by_role("dialog", name="Reject: why?")).to_be_visible()
    _press_and_wait_for_another(page, "2")

    skipped = _on_screen(page)
    _press_and_wait_for_another(page, "s", "7")

    with product.sessions() as session:
        decisions = session.scalars(select(Decision).order_by(Decision.id)).all()
        assert session.scalars(select(GuidelineSeen.version)).all() == [1]
        assert session.scalars(select(RuleOverride.decision_id)).all() == [decisions[2].id]
    assert [(one.instance_id, one.action, one.reason) for one in decisions] == [
        (accepted, Action.ACCEPT, None),
        (edited, Action.EDIT, None),
        (rejected, Action.REJECT, "incomplete"),
        (skipped, Action.SKIP, "other"),
    ]
    assert decisions[2].note == "Not what was asked."


def test_the_last_decisions_stay_reachable_and_undo_brings_one_back(page: Page, product: Product) -> None:
    present = _on_screen(page)
    _press_and_wait_for_another(page, "k")
    expect(page.get_by_text("You skipped it")).to_be_visible()
    _press_and_wait_for_another(page, "ArrowLeft")
    expect(page.get_by_text("Not what was asked.")).to_be_visible()
    rejected = _on_screen(page)
    _press_and_wait_for_another(page, "ArrowRight")
    _press_and_wait_for_another(page, "j")
    assert _on_screen(page) == present

    _press_and_wait_for_another(page, "k")
    _press_and_wait_for_another(page, "k")
    page.keyboard.press("u")
    expect(page.get_by_role("button", name="Accept")).to_be_visible()
    assert _on_screen(page) == rejected

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("a")
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).not_to_be_visible()
    with product.sessions() as session:
        status = session.scalar(select(Instance.status).where(Instance.id == rejected))
    assert status == InstanceStatus.WAITING

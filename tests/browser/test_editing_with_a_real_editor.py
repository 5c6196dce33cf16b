"""The texts of a card in a code editor: colours, differences to the model's text, the way back; a field without it."""

import json
import random
import re
import time

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import delete, select, update

from app.accounts.sessions import open_session
from app.code.difference import edit_distance
from app.review.judgement import LONGEST_TEXT
from app.storage.tables import Draft, Instance, Revision
from app.web.dependencies import SESSION_COOKIE
from tests.browser.conftest import Desk, Product, await_stored, editor_of
from tests.browser.test_every_page_is_accessible import LOOK

pytestmark = pytest.mark.browser

NARROW = ((375, 812), (720, 450))  # a phone; 1440 x 900 at 200 %


def _start_editing(page: Page) -> str:
    """Opens the card in the editor; returns the solution as it was."""
    page.goto("/review")
    page.keyboard.press("Escape")  # the guideline, on the first visit
    page.keyboard.press("e")
    expect(editor_of(page)).to_be_focused()
    return page.locator("#text-solution").input_value()


def test_typing_is_compared_with_the_models_text_in_both_forms_and_saved(
    page: Page, product: Product
) -> None:
    card = page.locator("#card")
    original = _start_editing(page)
    number = int(str(card.get_attribute("data-instance")))
    expect(page.locator("#distance")).to_have_text("as the model wrote it")

    page.keyboard.type("# au\n")  # letters that are keys of the card
    expect(page.locator("#text-solution")).to_have_value("# au\n" + original)
    expect(editor_of(page).locator(".tok-comment").first).to_have_text("# au")
    expect(page.locator("#distance")).to_have_text("5 characters from the model's text")

    page.keyboard.press("Alt+d")
    expect(page.get_by_role("button", name="Unified diff")).to_have_attribute("aria-pressed", "true")
    expect(editor_of(page).locator(".cm-changedLine")).to_have_text("# au")
    expect(editor_of(page)).to_be_focused()

    page.get_by_role("button", name="Side by side").click()
    expect(editor_of(page).locator(".cm-changedLine")).to_have_text("# au")
    models = editor_of(page, "Solution, the model's text")
    expect(models).to_have_attribute("aria-readonly", "true")
    expect(models).not_to_contain_text("# au")

    editor_of(page).focus()
    page.keyboard.press("Control+Enter")
    expect(card).not_to_have_attribute("data-instance", str(number))
    await_stored(page)
    with product.sessions() as session:
        revision = session.scalars(select(Revision).where(Revision.number == 1)).one()
    assert (revision.instance_id, revision.solution) == (number, "# au\n" + original)
    assert revision.edit_distance == 5


def test_what_was_typed_can_be_undone_after_a_reset_and_in_another_layout(page: Page) -> None:
    original = _start_editing(page)
    solution = page.locator("#text-solution")
    page.keyboard.type("one ")
    page.get_by_role("button", name="Reset").click()
    expect(solution).to_have_value(original)
    expect(page.locator("#distance")).to_have_text("as the model wrote it")

    page.get_by_role("button", name="Side by side").click()
    editor_of(page).focus()
    page.keyboard.press("Control+z")
    expect(solution).to_have_value("one " + original)
    page.keyboard.press("Control+z")
    expect(solution).to_have_value(original)


def test_tab_leaves_the_editor_and_bracket_indents(page: Page) -> None:
    original = _start_editing(page)
    page.keyboard.press("Control+]")
    expect(page.locator("#text-solution")).to_have_value("    " + original)
    page.keyboard.press("Control+[")
    expect(page.locator("#text-solution")).to_have_value(original)
    page.keyboard.press("Tab")
    expect(editor_of(page)).not_to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(editor_of(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(editor_of(page)).not_to_be_visible()
    expect(page.locator("#card")).to_be_focused()


def test_without_javascript_it_is_a_field(browser: Browser, product: Product, desk: Desk) -> None:
    with product.sessions.begin() as session:
        cookie = open_session(session, desk.person)
    with browser.new_context(base_url=product.address, java_script_enabled=False) as context:
        context.add_cookies([{"name": SESSION_COOKIE, "value": cookie, "url": product.address}])
        page = context.new_page()
        page.goto("/review?edit=1")
        solution = page.get_by_role("textbox", name="Solution")
        expect(solution).to_be_editable()
        solution.press_sequentially("# plain\n")
        expect(solution).to_have_value(re.compile("# plain\n"))
        expect(page.get_by_role("button", name="Side by side")).not_to_be_visible()


@pytest.mark.parametrize("layout", ["Text", "Unified diff", "Side by side"])
def test_axe_finds_nothing_grave_in_any_layout_and_narrow_screens_show_it_all(
    page: Page, layout: str
) -> None:
    _start_editing(page)
    page.keyboard.type("if x:\n")
    page.get_by_role("button", name=layout).click()
    editor_of(page).focus()
    page.keyboard.press("Control+f")
    expect(page.get_by_role("textbox", name="Find")).to_be_focused()
    page.keyboard.type("return")
    page.evaluate(AXE_SCRIPT)
    assert page.evaluate(LOOK) == []

    page.keyboard.press("Escape")  # the search, not the editor
    expect(editor_of(page)).to_be_focused()
    for width, height in NARROW:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        expect(page.get_by_role("button", name="Save edit")).to_be_in_viewport()


def test_the_distance_is_the_one_that_is_stored(page: Page) -> None:
    chance = random.Random(7)
    pairs = [
        ["".join(chance.choices("ab\n😀", k=chance.randrange(30))) for _ in range(2)] for _ in range(200)
    ]
    counted = page.evaluate(
        """async (pairs) => {
            const { distanceOf } = await import("/static/review/distance.js");
            return pairs.map((pair) => distanceOf([pair]));
        }""",
        pairs,
    )
    assert counted == [edit_distance(old, new) for old, new in pairs], json.dumps(pairs)


def test_hidden_characters_are_marked_wherever_they_stand(page: Page, product: Product) -> None:
    text = "a\u202eb\u200bc"
    _replace_texts(page, product, instruction=text, solution=text)
    _start_editing(page)
    page.keyboard.type("changed ")
    page.get_by_role("button", name="Text").click()
    assert _marks(page, "Instruction") == ["U+202E", "U+200B"]

    page.get_by_role("button", name="Unified diff").click()
    expect(editor_of(page).locator(".cm-deletedChunk")).to_be_visible()
    expect(editor_of(page).locator(".hidden-char")).to_have_count(4)
    assert _marks(page, "Solution") == ["U+202E", "U+200B"] * 2

    page.get_by_role("button", name="Side by side").click()
    assert _marks(page, "Solution, the model's text") == ["U+202E", "U+200B"]


def test_the_longest_line_that_can_be_saved_can_be_edited(page: Page, product: Product) -> None:
    giant = "0123456789" * (LONGEST_TEXT // 10 - 1)
    _replace_texts(page, product, information=giant, solution=giant)
    _start_editing(page)
    started = time.monotonic()
    for _ in range(3):  # layouts
        page.keyboard.press("x")
        page.keyboard.press("Alt+d")
    expect(page.locator("#distance")).to_have_text("3 characters from the model's text")
    assert time.monotonic() - started < 10  # it takes two; machines are shared


def _replace_texts(page: Page, product: Product, **texts: str) -> None:
    """Other texts for the instance on screen, whose draft goes."""
    number = int(str(page.locator("#card").get_attribute("data-instance")))
    with product.sessions.begin() as session:
        session.execute(update(Instance).where(Instance.id == number).values(texts))
        session.execute(delete(Draft))


def _marks(page: Page, label: str) -> list[str | None]:
    marks = editor_of(page, label).locator(".hidden-char").all()
    return [mark.get_attribute("data-code") for mark in marks]

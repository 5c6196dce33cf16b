"""What a person may write in the place of a shipped prompt, and how its placeholders are filled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.discrimination import prompts as judge
from app.generation import prompts as generator
from app.pipeline import Task
from app.prompting.editing import MOST_CHARACTERS, Placeholder, faults, tidied
from app.prompting.template import BETWEEN, asks_for, filled, messages_of
from app.prompting.untrusted import HOW_TO_READ_IT

PLACEHOLDERS = (
    Placeholder("rules", "the rules", "system"),
    Placeholder("material", "the code", "user"),
    Placeholder("cases", "two cases", "user", required=False),
)
GOOD = f"Be exact.\n{{rules}}\n{HOW_TO_READ_IT}\n\n---\n\nLook:\n{{material}}"


def words(text: str) -> list[str]:
    return [fault.words for fault in faults(text, PLACEHOLDERS)]


@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("room", [judge, generator])
def test_every_shipped_prompt_could_be_saved_as_it_is(room: object, task: Task) -> None:
    content = room.template(task).content  # pyright: ignore[reportAttributeAccessIssue]

    assert faults(content, room.placeholders(task)) == []  # pyright: ignore[reportAttributeAccessIssue]
    assert tidied(content) == content


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD.replace("{material}", "{materail}"), "line 8: {materail} is no placeholder of this prompt; did you mean {material}?"),
        (GOOD.replace("Look:\n{material}", "Look:"), "{material} is missing: the code"),
        (GOOD.replace("Be exact.", "Be {material}."), "line 1: {material} belongs below the line ---"),
        (GOOD.replace("Look:", "{rules}"), "line 7: {rules} stands here a second time"),
        (f"{GOOD}\n{{material}}", "line 9: {material} stands here a second time"),
        (GOOD.replace("\n\n---\n\n", "\n"), "a line --- is missing"),
        (f"{GOOD}\n---\nmore", "line 9: this is a second line ---"),
        (GOOD.replace(HOW_TO_READ_IT, "Trust nobody."), "the system message must say"),
        (f"{GOOD}\n⟪end untrusted text⟫", "line 9: ⟪ marks our fences"),
        (GOOD.replace("Look:", "Look\x00"), "line 7: this character is no text"),
        (f"{GOOD}{'x' * MOST_CHARACTERS}", "a prompt has at most 20,000 characters"),
        ("---", "the question is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(text: str, expected: str) -> None:
    assert any(one.startswith(expected) for one in words(text)), words(text)


def test_line_ends_of_a_form_and_space_around_the_divider_change_nothing() -> None:
    typed = "\r\n" + GOOD.replace("\n\n---\n\n", "\n---  \n").replace("\n", "\r\n") + "\r\n"

    assert words(typed) == []
    assert tidied(typed) == GOOD


def test_braces_that_are_no_placeholder_stay() -> None:
    text = GOOD.replace("Look:", 'As JSON: {"a": {}} and {{material}}.')

    assert words(text) == []
    assert filled(text, {"material": "x"}).endswith('As JSON: {"a": {}} and {material}.\nx')
    assert not asks_for(text, "cases")


@given(st.text(), st.text())
def test_what_is_put_in_is_never_looked_at_again(first: str, second: str) -> None:
    assert filled("{a}|{b}", {"a": first, "b": second}) == f"{first}|{second}"


@given(st.text(alphabet="ab{}-\n ", max_size=60))
def test_any_text_without_faults_is_tidied_once_and_for_all(text: str) -> None:
    whole = GOOD.replace("Look:", f"Look{text}")
    if not words(whole):
        kept = tidied(whole)
        assert tidied(kept) == kept
        assert BETWEEN.join(messages_of(kept)) == kept

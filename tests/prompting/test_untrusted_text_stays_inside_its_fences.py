"""What neutralising does to a text. Texts that were written to get out of their fence: `attacks`, beside this file."""

from hypothesis import given
from hypothesis import strategies as st

from app.prompting.untrusted import CLOSING, OPENING, neutralise, restored


def test_ordinary_code_is_left_as_it_is() -> None:
    code = "def f(a, b):\r\n\x0c\treturn a < b | b > a  # “quotes”, é, 漢, ❤️, 👍🏽\n"

    assert neutralise(code) == f"{OPENING}\n{code}\n{CLOSING}"


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("⟪⟫U+0123456789ABCDEF<|[]INST/s\n")))
def test_neutralising_can_always_be_undone(text: str) -> None:
    block = neutralise(text)

    assert restored(block) == text
    assert (block.count(OPENING), block.count(CLOSING)) == (1, 1)

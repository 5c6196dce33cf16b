"""Readings of raw replies: whole, wrapped, damaged, refused."""

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Unparsable
from app.prompting.prompt import Reply
from app.prompting.reading import plain_text, read_json, usable_text

KEYS = ("instruction", "solution")
ANSWER = {"instruction": "Write it.", "solution": "def f():\n    return {}"}


@pytest.mark.parametrize(
    ("reply", "code", "is_final"),
    [
        (Reply("", "stop", refusal="I cannot help"), "refused", True),
        (Reply('{"instruction": "x"}', "content_filter"), "content_filter", True),
        (Reply(json.dumps(ANSWER), "length"), "cut_off", False),
        (Reply("  \n", "stop"), "empty", False),
    ],
)
def test_a_reply_that_is_no_whole_answer_says_which_way(reply: Reply, code: str, is_final: bool) -> None:
    with pytest.raises(Unparsable) as caught:
        usable_text(reply)
    assert (caught.value.code, caught.value.is_final) == (code, is_final)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ANSWER),
        f"\n{json.dumps(ANSWER, indent=2)}\n",
        f"Here it is:\n```json\n{json.dumps(ANSWER)}\n```\nAnything else?",
        f"The set {{1, 2}} is an example. {json.dumps(ANSWER)}",
        f"{json.dumps(ANSWER)}\n{json.dumps(ANSWER)}",
    ],
)
def test_an_object_is_found_wherever_it_stands(text: str) -> None:
    assert read_json(text, KEYS) == (ANSWER, False)


def test_a_mended_object_is_marked() -> None:
    found = read_json("{'instruction': 'Write it.', 'solution': 'pass',}", KEYS)

    assert found == ({"instruction": "Write it.", "solution": "pass"}, True)


@pytest.mark.parametrize(
    "text",
    [
        '{"instruction": "Write it.", "solution": "function f() { return {}; }',
        '{"instruction": "Write it.", "solution": "x"',
        '{"instruction": "Write it.", "solution',
    ],
)
def test_a_reply_that_breaks_off_is_not_mended_into_a_half_solution(text: str) -> None:
    with pytest.raises(Unparsable) as caught:
        read_json(text, KEYS)
    assert caught.value.code == "cut_off"


@pytest.mark.parametrize(
    "text",
    [
        "I am not sure.",
        "[1, 2]",
        '{"instruction": "a", "instruction": "b", "solution": "c"}',
        'First {"solution": "a"} and then {"solution": "b"}',
    ],
)
def test_no_answer_and_two_answers_are_unparsable(text: str) -> None:
    with pytest.raises(Unparsable):
        read_json(text, KEYS)


@pytest.mark.parametrize("value", [None, 3, ["x"], "a\x00b", "\ud800"])
def test_what_is_no_text_is_refused_by_name(value: object) -> None:
    with pytest.raises(Unparsable, match="solution"):
        plain_text(value, "solution")


@pytest.mark.parametrize(
    "text", ["{" * 90_000, '{"a":' * 15_000, '{"solution": "' + "\\" * 80_000, '"{' * 40_000]
)
def test_a_hostile_reply_costs_little_time(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(Unparsable):
        read_json(text, KEYS)
    assert time.monotonic() - started < 5


@given(st.text(max_size=300))
def test_any_text_is_an_object_or_unparsable(text: str) -> None:
    with suppress(Unparsable):
        assert isinstance(read_json(text, KEYS).value, dict)

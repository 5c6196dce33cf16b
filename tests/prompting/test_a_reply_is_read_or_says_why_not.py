"""Raw replies that are no answer, or only look like one. Those that were seen: `replies`, beside this file."""

import json
import time

import pytest

from app.errors import Unparsable
from app.prompting.prompt import Reply
from app.prompting.reading import plain_text, read_json, usable_text

KEYS = ("instruction", "solution")
ANSWER = {"instruction": "Write it.", "solution": "def f():\n    return {}"}


@pytest.mark.parametrize(
    ("reply", "code", "is_final"),
    [
        (Reply("", "stop", refusal="I cannot help"), "refused", True),
        (Reply("I cannot help", "refusal"), "refused", True),
        (Reply('{"instruction": "x"}', "content_filter"), "content_filter", True),
        (Reply(json.dumps(ANSWER), "insufficient_system_resource"), "cut_off", False),
        (Reply(json.dumps(ANSWER), "length"), "cut_off", False),
        (Reply("\ufeff \u200b\n", "stop"), "empty", False),
    ],
)
def test_a_reply_that_is_no_whole_answer_says_which_way(reply: Reply, code: str, is_final: bool) -> None:
    with pytest.raises(Unparsable) as caught:
        usable_text(reply)
    assert (caught.value.code, caught.value.is_final) == (code, is_final)


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        '{"solution": "f("}")"}',
        "{\"solution\": \"a\"} or ```{'solution': 'b'}```",
        'First {"solution": "a"} and then {"solution": "b"}',
        '{\'note\': \'it said {"instruction": "a", "solution": "b"}\'}',
        '{"a": ' + "9" * 5000 + "}",
    ],
)
def test_no_answer_of_its_own_and_more_than_one_are_unparsable(text: str) -> None:
    with pytest.raises(Unparsable):
        read_json(text, KEYS)


@pytest.mark.parametrize("value", [None, 3, ["x"], "a\x00b", "\ud800"])
def test_what_is_no_text_is_refused_by_name(value: object) -> None:
    with pytest.raises(Unparsable, match="solution"):
        plain_text(value, "solution")


@pytest.mark.parametrize(
    "text",
    [
        "{" * 90_000,
        '{"a":' * 15_000,
        '{"solution": "' + "\\" * 80_000,
        '"{' * 40_000,
        '{"solution"' + " " * 90_000 + '"x"}',
        "{'solution': " + "'a', " * 19_000 + "}",
        '{"solution": ' + "a:" * 45_000 + "}",
        "<think>" * 14_000,
    ],
)
def test_a_hostile_reply_costs_little_time(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(Unparsable):
        read_json(text, KEYS)
    assert time.monotonic() - started < 5

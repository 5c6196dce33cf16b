"""Whatever is done to a good answer: it is read as it was, marked, or refused. Never as something else."""

import json
import re
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.errors import Unparsable
from app.prompting.answers import has_any
from app.prompting.reading import Found, Mark, read_json

KEYS = ("instruction", "information", "solution")
_CODE = "abxyz019_ \n\t\"'\\{}[]():,;.=+-#/<>`$é漢😀"
texts = st.text(st.sampled_from(_CODE), max_size=40)
answers = st.fixed_dictionaries(dict.fromkeys(KEYS, texts))
THOUGHTS = (
    ("<think>", "</think>"),
    ("", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("analysis", "assistantfinal"),
)

_WRAP: list[Callable[[str], str]] = [
    lambda text: f"```json\n{text}\n```",
    lambda text: f"Here it is, as asked:\n\n{text}\n\nDoes that help?",
    lambda text: f"[{text}]",
    lambda text: f'{{"result": {text}}}',
    lambda text: json.dumps({"name": "instance", "arguments": text}),
    lambda text: f"\ufeff{text}",
    lambda text: f"{text}<|im_end|>",
    lambda text: f"{text}\n{text}",
    json.dumps,
    *(lambda text, tags=tags: f"{tags[0]}Hm, {{maybe}}.{tags[1]}{text}" for tags in THOUGHTS),
]


def reading(text: str) -> Found | None:
    """None also for an object without any of the keys: the stage that asked refuses it."""
    try:
        found = read_json(text, KEYS)
    except Unparsable:
        return None
    return found if has_any(found.value, KEYS) else None


def is_strict(text: str) -> bool:
    try:
        value: object = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict)


@given(answers, st.booleans())
def test_strict_json_is_read_as_it_is(answer: dict[str, str], indented: bool) -> None:
    text = json.dumps(answer, indent=2 if indented else None, ensure_ascii=indented)

    assert reading(text) == Found(answer, ())


@given(answers, st.lists(st.sampled_from(_WRAP), min_size=1, max_size=3))
def test_an_answer_in_wrappers_is_the_answer_marked(
    answer: dict[str, str], wrappers: list[Callable[[str], str]]
) -> None:
    text = json.dumps(answer)
    for wrap in wrappers:
        text = wrap(text)

    found = reading(text)

    assert found is None or (found.value == answer and found.marks)


@given(answers, st.sampled_from(_WRAP))
def test_one_wrapper_is_always_seen_through(answer: dict[str, str], wrap: Callable[[str], str]) -> None:
    found = reading(wrap(json.dumps(answer)))

    assert found is not None
    assert found.value == answer
    assert found.marks


@given(answers, st.data())
def test_an_answer_that_breaks_off_is_never_an_answer(answer: dict[str, str], data: st.DataObject) -> None:
    text = json.dumps(answer)
    broken = text[: data.draw(st.integers(0, len(text) - 1))]

    assert reading(broken) is None
    assert reading(f"```json\n{broken}") is None
    assert reading(f"{broken}\n```\nThat is all.") is None


_DAMAGE: list[Callable[[str], str]] = [
    lambda text: f"{text[:-1]},}}",
    lambda text: str(json.loads(text)),
    lambda text: text.replace("\\n", "\n").replace("\\t", "\t"),
    lambda text: text.replace('\\"', '"'),
    lambda text: text.replace('", "', '" "'),
    lambda text: text.replace("\\\\", "\\"),
    lambda text: text.replace('"', "“"),
    lambda text: re.sub(r'"(\w+)": ', r"\1: ", text),
    lambda text: text.replace('": "', '": `').replace('", "', '`, "').replace('"}', "`}"),
    lambda text: text.replace('"instruction"', '"instruc\\_tion"'),
]


def shape(value: dict[str, Any]) -> dict[str, str]:
    """Without blanks at the ends of texts, which mending may drop."""
    return {re.sub(r"[\W_]", "", key): str(text).rstrip() for key, text in value.items()}


def undoubled(text: str) -> str:
    """What a text with single backslashes looks like from outside: `\\n` may have been meant or escaped."""
    return re.sub(r"\\[nrtbf]|[\s\b\f]|\\", "", text)


@given(answers, st.sampled_from(_DAMAGE))
def test_a_damaged_answer_is_mended_to_the_same_and_marked_or_refused(
    answer: dict[str, str], damage: Callable[[str], str]
) -> None:
    text = json.dumps(answer, ensure_ascii=False)
    broken = damage(text)

    found = reading(broken)

    if found is None or is_strict(broken):
        return
    assert Mark.MENDED in found.marks
    same = {key: undoubled(value) for key, value in shape(found.value).items()}
    assert same == {key: undoubled(value) for key, value in shape(answer).items()}


_plain = st.fixed_dictionaries(dict.fromkeys(KEYS, st.text("abc yz.:=+", min_size=1, max_size=20)))


@given(_plain, st.data())
def test_any_change_of_one_character_is_read_letter_by_letter_or_refused(
    answer: dict[str, str], data: st.DataObject
) -> None:
    text = json.dumps(answer)
    place = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(st.sampled_from(["", *"\"'{}[],:\\x \n"]))
    changed = text[:place] + put + text[place + data.draw(st.integers(0, 1)) :]

    found = reading(changed)

    if found is None:
        return
    if not found.marks:
        assert json.loads(changed) == found.value
        return
    said = "".join(f"{key}{value}" for key, value in found.value.items())
    letters, all_letters = (re.sub(r"[^a-z]", "", one) for one in (said, changed))
    assert letters == all_letters or (Mark.AROUND in found.marks and letters in all_letters)


@given(st.text(max_size=300) | st.text('{}[]",:\\ \nsolution', max_size=120))
def test_any_text_is_an_object_or_unparsable_and_clean_only_as_strict_json(text: str) -> None:
    found = reading(text)

    if found is not None and not found.marks:
        assert json.loads(text) == found.value

"""Validation of the four keys."""

import json

import pytest

from app.errors import Unparsable
from app.generation.parsing import Written, parsed
from app.generation.prompts import KEYS, schema
from app.pipeline import Task
from app.prompting.prompt import Reply
from app.prompting.reading import Mark
from app.prompting.untrusted import neutralise

GOOD = {
    "task_name": "code generation",
    "instruction": "Write a Python function that adds one.",
    "information": "",
    "solution": "def add_one(x):\n    return x + 1",
}
REPAIR = GOOD | {"task_name": "code repair", "information": "def add_one(x):\n    return x - 1"}


def reply(value: object) -> Reply:
    return Reply(json.dumps(value), "stop")


def test_four_keys_become_an_instance() -> None:
    assert parsed(reply(GOOD), Task.GENERATION).written == Written(**GOOD)


def test_the_task_name_is_forgiven_its_spelling_but_not_its_meaning() -> None:
    spelled = reply(GOOD | {"task_name": "Code_Generation"})

    assert parsed(spelled, Task.GENERATION).written.task_name == "code generation"
    with pytest.raises(Unparsable, match="task_name"):
        parsed(reply(GOOD), Task.REPAIR)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"solution": None}, "solution"),
        ({"solution": ["def f(): pass"]}, "solution"),
        ({"solution": "  \n"}, "solution"),
        ({"instruction": ""}, "instruction"),
        ({"information": {"code": "x"}}, "information"),
        ({"solution": "a\x00b"}, "solution"),
    ],
)
def test_anything_else_is_refused_with_the_key_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(Unparsable, match=named):
        parsed(reply(GOOD | change), Task.GENERATION)


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(Unparsable, match=key):
        parsed(reply({name: text for name, text in GOOD.items() if name != key}), Task.GENERATION)


@pytest.mark.parametrize(
    ("change", "mark"),
    [
        ({"Explanation": "It adds one."}, Mark.EXTRA),
        ({"task_name": "Code Generation"}, Mark.REWORDED),
    ],
)
def test_what_is_beside_the_four_keys_is_marked_and_left_out(change: dict[str, object], mark: Mark) -> None:
    assert parsed(reply(GOOD | change), Task.GENERATION) == (Written(**GOOD), (mark,))


def test_a_key_in_two_spellings_is_two_answers() -> None:
    with pytest.raises(Unparsable, match="solution twice"):
        parsed(reply(GOOD | {"Solution": "pass"}), Task.GENERATION)


@pytest.mark.parametrize(
    ("task", "key", "text", "is_read"),
    [
        (Task.GENERATION, "instruction", "Напишите функцию на Python, которая прибавляет единицу.", False),
        (Task.GENERATION, "instruction", "Write a Python function that returns “Здравствуйте” twice.", True),
        (Task.GENERATION, "solution", "# 加一\nf = lambda x: x + 1", True),
        (Task.SUMMARIZATION, "solution", "この関数は数に一を加えます。", False),
        (Task.SUMMARIZATION, "solution", "Ajoute un à un nombre (naïf).", True),
    ],
)
def test_prose_in_another_script_than_english_is_asked_for_again(
    task: Task, key: str, text: str, is_read: bool
) -> None:
    asked = reply(GOOD | {"task_name": f"code {task}", key: text})
    if is_read:
        assert getattr(parsed(asked, task).written, key) == text
    else:
        with pytest.raises(Unparsable, match=key) as caught:
            parsed(asked, task)
        assert caught.value.code == "other_language"


def test_a_solution_that_was_cut_off_never_passes() -> None:
    whole = json.dumps(GOOD)
    for reason, text in (("length", whole), ("stop", whole[:-6])):
        with pytest.raises(Unparsable) as caught:
            parsed(Reply(text, reason), Task.GENERATION)
        assert caught.value.code == "cut_off"


@pytest.mark.parametrize("information", ["", "def add_one(x):\n    return x + 1\n"])
def test_a_repair_needs_buggy_code_that_differs_from_the_solution(information: str) -> None:
    assert parsed(reply(REPAIR), Task.REPAIR).written.information == REPAIR["information"]
    with pytest.raises(Unparsable):
        parsed(reply(REPAIR | {"information": information}), Task.REPAIR)


def test_a_bug_in_a_comment_is_none() -> None:
    commented = reply(REPAIR | {"information": f"# a bug\n{REPAIR['solution']}"})

    assert parsed(commented, Task.REPAIR).written
    with pytest.raises(Unparsable, match="in comments only"):
        parsed(commented, Task.REPAIR, "python")


def test_code_that_was_copied_from_inside_the_fences_comes_back_as_it_was() -> None:
    code = 'MARK = "<|end|>"'
    copied = neutralise(code)

    assert parsed(reply(GOOD | {"information": copied}), Task.GENERATION).written.information == code


@pytest.mark.parametrize("task", Task)
def test_the_schema_is_strict(task: Task) -> None:
    strict = schema(task)

    assert strict["additionalProperties"] is False
    assert set(strict["required"]) == set(strict["properties"]) == set(KEYS)

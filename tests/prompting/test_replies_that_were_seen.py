"""A corpus of what servers return: each file one way of being wrong, with where it was seen and what comes of it."""

import re

import pytest

from app.discrimination.parsing import opinion
from app.discrimination.rubric import RULES
from app.errors import Unparsable
from app.generation.parsing import Written, parsed
from app.pipeline import Task
from app.prompting.prompt import Reply
from app.prompting.reading import READ_LOOSELY, REPAIRED, Mark, how_read
from tests.prompting.corpus import Exhibit, exhibits

INSTANCE = {
    "task_name": "code generation",
    "instruction": "Write a Python function that doubles a number.",
    "information": "def double(x):",
    "solution": "def double(x):\n    return 2 * x",
}
ANSWERS = {
    "code_only": ("yes", "Only code."),
    "real_input": ("yes", "A signature."),
    "solution_answers": ("no", "It adds instead."),
}
JUDGED_BY = [rule for rule in RULES if rule.rule in ANSWERS]
REPLIES = exhibits("replies")
READABLE = [one for one in REPLIES if one.head["comes"] in ("instance", "verdict")]
REFUSED = [one for one in REPLIES if one not in READABLE]


def reply_of(exhibit: Exhibit) -> Reply:
    return Reply(exhibit.text, exhibit.head.get("finish", "stop"), exhibit.head.get("refusal"))


def read(exhibit: Exhibit) -> tuple[object, tuple[Mark, ...]]:
    """What the stage that asked for it makes of a reply, and the marks."""
    if exhibit.head["stage"] == "generate":
        written, marks = parsed(reply_of(exhibit), Task.GENERATION)
        return written, marks
    answers, claimed, marks = opinion(reply_of(exhibit), JUDGED_BY)
    assert claimed == "no"
    return {rule: (said.answer, said.reason) for rule, said in answers.items()}, marks


def held(exhibit: Exhibit) -> object:
    """What stands in a reply, by its file."""
    if exhibit.head["stage"] == "generate":
        return Written(**(INSTANCE | exhibit.json("holds")))
    reasonless = exhibit.head.get("reasonless") == "yes"
    return {rule: (answer, "" if reasonless else reason) for rule, (answer, reason) in ANSWERS.items()}


@pytest.mark.parametrize("exhibit", READABLE, ids=lambda one: one.name)
def test_what_it_says_is_read_whole_and_what_was_wrong_is_marked(exhibit: Exhibit) -> None:
    value, marks = read(exhibit)

    assert value == held(exhibit)
    assert "; ".join(marks) == exhibit.head.get("marks", "")


@pytest.mark.parametrize("exhibit", REFUSED, ids=lambda one: one.name)
def test_what_cannot_be_read_says_why(exhibit: Exhibit) -> None:
    with pytest.raises(Unparsable) as caught:
        read(exhibit)
    assert caught.value.code == exhibit.head["comes"]


def test_every_file_says_where_it_was_seen_and_is_a_way_of_its_own() -> None:
    assert all(re.search(r"[\w.-]+/[\w.-]+(#\d+| [\w/.-]+)|^tests/\w+", one.seen) for one in REPLIES)
    assert len({(one.way, one.head["stage"]) for one in REPLIES}) == len(REPLIES)


@pytest.mark.parametrize(
    ("marks", "code"), [((), None), ((Mark.AROUND,), READ_LOOSELY), ((Mark.AROUND, Mark.MENDED), REPAIRED)]
)
def test_the_call_says_how_its_reply_was_read(marks: tuple[Mark, ...], code: str | None) -> None:
    assert how_read(marks)[0] == code
    assert all(mark in (how_read(marks)[1] or "") for mark in marks)

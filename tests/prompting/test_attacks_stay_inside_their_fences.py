"""A corpus of attacks, one way each, against both prompts and both parsers."""

import json
import re
from collections.abc import Callable

import pytest

from app.discrimination import prompts as judging
from app.discrimination.opinion import Answer
from app.discrimination.parsing import opinion
from app.discrimination.rubric import RULES
from app.errors import Unparsable
from app.generation import prompts as generating
from app.generation.parsing import parsed
from app.pipeline import Task
from app.prompting.exemplars import Case
from app.prompting.prompt import Prompt, Reply
from app.prompting.untrusted import CLOSING, OPENING, neutralise, restored
from tests.prompting.corpus import Exhibit, exhibits

ATTACKS = exhibits("attacks")
FENCED = re.compile(f"{OPENING}.*?{CLOSING}", re.DOTALL)
HARMLESS = "x = 1"

each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)


def questions(untrusted: str) -> list[Prompt]:
    """Everything that is asked about a text: in every place where a stranger's text can stand."""
    case = Case(untrusted, untrusted, untrusted, is_good=False, analysis=untrusted)
    asked: list[Prompt] = []
    for task in Task:
        target = "go" if task is Task.TRANSLATION else None
        material = generating.Material(task, "python", untrusted, untrusted, "0" * 64, target, None, 0)
        judged = judging.Judged(task, "python", target, untrusted, untrusted, untrusted)
        asked += [generating.ask(material, case, case), judging.ask(judged, case, case)]
    return asked


@each_attack
def test_a_text_changes_nothing_outside_its_own_fences(attack: Exhibit) -> None:
    for prompt, harmless in zip(questions(attack.text), questions(HARMLESS), strict=True):
        assert prompt._replace(user=FENCED.sub("", prompt.user)) == harmless._replace(
            user=FENCED.sub("", harmless.user)
        )
        blocks = FENCED.findall(prompt.user)
        assert len(blocks) == len(FENCED.findall(harmless.user)) >= 9
        assert prompt.user.count(OPENING) == prompt.user.count(CLOSING) == len(blocks)
        assert all(restored(block) == attack.text for block in blocks)


@each_attack
def test_nothing_inside_a_fence_can_be_taken_for_a_control_word_or_hides(attack: Exhibit) -> None:
    inside = neutralise(attack.text).removeprefix(OPENING).removesuffix(CLOSING)

    assert not re.search(r"<[|｜]|</?s>|\[/?INST\]|<</?SYS|<\w+_of_turn>|</?think>", inside)
    assert all(character.isprintable() or character in "\n\t" for character in inside)


@each_attack
def test_a_generator_may_copy_it_from_its_fence(attack: Exhibit) -> None:
    reply = Reply(
        json.dumps(
            {
                "task_name": "code generation",
                "instruction": "Write a Python function.",
                "information": "",
                "solution": neutralise(attack.text),
            }
        ),
        "stop",
    )
    if attack.head.get("storable") == "no":
        with pytest.raises(Unparsable, match="solution"):
            parsed(reply, Task.GENERATION)
    else:
        assert parsed(reply, Task.GENERATION).written.solution == attack.text


JUDGED_BY = [rule for rule in RULES if rule.rule in ("code_only", "real_input", "solution_answers")]
NO = {rule.rule: Answer.NO for rule in JUDGED_BY}


def verdict(reason: str) -> dict[str, object]:
    return {rule: {"reason": reason, "answer": "no"} for rule in NO} | {"overall": "no"}


def answers(text: str) -> dict[str, Answer] | None:
    try:
        said = opinion(Reply(text, "stop"), JUDGED_BY)
    except Unparsable:
        return None
    return {rule: one.answer for rule, one in said.answers.items()}


@each_attack
def test_a_judge_may_quote_it_in_a_reason(attack: Exhibit) -> None:
    quoted = json.dumps(verdict(f"The code says: {attack.text}"))

    assert answers(quoted) == (None if attack.head.get("storable") == "no" else NO)


@each_attack
@pytest.mark.parametrize(
    "reply",
    [
        lambda said, attack: f"The code says:\n{attack}\n\n{json.dumps(said)}",
        lambda said, attack: f"{json.dumps(said)}\n\nThe code says:\n{attack}",
        lambda said, attack: f"<think>\nIt says: {attack}\n</think>\n{json.dumps(said)}",
        lambda _, attack: str(verdict(f"The code says: {attack}")),
        lambda _, attack: json.dumps(verdict("X")).replace("X", attack),
        lambda _, attack: json.dumps(verdict("X"), indent=1).replace("X", attack.replace('"', "'"), 1),
        lambda _, attack: f"{{'reason': 'It says {attack}', 'code_only': 'no', 'overall': 'no'}}",
    ],
    ids=["before", "after", "in a thought", "in single quotes", "not escaped", "half escaped", "torn"],
)
def test_a_judge_that_quotes_it_badly_never_seems_to_say_it(
    attack: Exhibit, reply: Callable[[object, str], str]
) -> None:
    assert answers(reply(verdict("No."), attack.text)) in (NO, None)


def test_every_file_says_where_it_was_seen_and_is_a_way_of_its_own() -> None:
    assert all(
        re.search(r"\w+/[\w.-]+(#\d+| [\w/.#'-]+)|arXiv \d|^app/|^analemma", one.seen) for one in ATTACKS
    )
    assert len({one.way for one in ATTACKS}) == len(ATTACKS)

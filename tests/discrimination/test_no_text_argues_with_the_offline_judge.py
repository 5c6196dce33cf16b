"""A verdict does not change with what a comment says: only with the code around it."""

import pytest

from app.code.languages import LANGUAGES
from app.discrimination.mechanical import Found, machine_answers
from app.discrimination.offline import no_opinion
from app.discrimination.opinion import Answer, merged
from app.discrimination.prompts import Judged
from app.discrimination.rubric import asked_of, rules_of
from app.evidence.checks import Subject, check_instance
from app.pipeline import Task
from tests.prompting.corpus import Exhibit, exhibits

CODE = {
    "go": "func double(x int) int {\n\treturn 2 * x\n}",
    "java": "int twice(int x) {\n  return 2 * x;\n}",
    "javascript": "function double(x) {\n  return 2 * x;\n}",
    "php": "function double($x) {\n  return 2 * $x;\n}",
    "python": "def double(x):\n    return 2 * x",
    "ruby": "def double(x)\n  2 * x\nend",
}
SIGN = {"python": "# ", "ruby": "# "}
ATTACKS = [one for one in exhibits("attacks") if one.head.get("storable") != "no"]


def comment(text: str, language: str) -> str:
    return "\n".join(SIGN.get(language, "// ") + line for line in text.splitlines())


def harmless(text: str) -> str:
    """Of the same shape."""
    return "".join(one if one.isspace() else "x" for one in text)


def answers(judged: Judged) -> dict[str, Answer]:
    subject = Subject(
        judged.task, judged.language, judged.target_language, judged.information, judged.solution, "MIT"
    )
    evidence = {one.kind.value: Found(one.result, one.detail) for one in check_instance(subject)}
    rules = rules_of(judged.task)
    silent = no_opinion(asked_of(judged.task))
    return {one.rule.rule: one.answer for one in merged(rules, silent, machine_answers(judged, evidence))}


def instance(task: Task, language: str, text: str, *, is_broken: bool) -> Judged:
    """With `text` as a comment above its code, wherever it has code."""
    target = (
        "go"
        if task is Task.TRANSLATION and language != "go"
        else "java"
        if task is Task.TRANSLATION
        else None
    )
    titles = " to ".join(LANGUAGES[one].title for one in (language, target) if one)
    given, solution = CODE[language], CODE[target or language]
    if task is Task.SUMMARIZATION:
        solution = "Doubles a number."
    if task is Task.REPAIR:
        given = given.replace("2", "3")
    if is_broken:
        solution = f"{solution} ) undefined(" if task is not Task.SUMMARIZATION else ""
        given = f"{given} )" if task is Task.SUMMARIZATION else given
    if task is not Task.SUMMARIZATION:
        solution = f"{comment(text, target or language)}\n{solution}"
    given = f"{comment(text, language)}\n{given}"
    return Judged(task, language, target, f"Double a number, {titles}.", given, solution)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_what_a_comment_says_changes_no_answer_to_any_rule(attack: Exhibit) -> None:
    for task in Task:
        for language in CODE:
            for is_broken in (False, True):
                with_attack, without = (
                    answers(instance(task, language, text, is_broken=is_broken))
                    for text in (attack.text, harmless(attack.text))
                )
                assert with_attack == without, (task, language, is_broken)


@pytest.mark.parametrize("language", CODE)
def test_the_code_does(language: str) -> None:
    for task in Task:
        whole, broken = (
            answers(instance(task, language, "A comment.", is_broken=is_broken))
            for is_broken in (False, True)
        )
        assert (whole["code_parses"], broken["code_parses"]) == (Answer.YES, Answer.NO)

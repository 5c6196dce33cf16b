"""The judge's reply: spelling is forgiven, content is not, and the overall word is computed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.discrimination.opinion import Answer, Said, is_contradictory, merged, overall
from app.discrimination.parsing import Opinion, opinion
from app.discrimination.prompts import schema
from app.discrimination.rubric import CheckedBy, Rule, asked_of, rules_as_text, rules_hash, rules_of
from app.errors import Unparsable
from app.pipeline import Task, Verdict
from app.prompting.prompt import Reply
from app.prompting.reading import Mark

TASK = Task.REPAIR
RULES = asked_of(TASK)
NAMES = [rule.rule for rule in RULES]


def answers(answer: object = "yes", **changed: object) -> dict[str, Any]:
    return {name: {"reason": "seen", "answer": answer} for name in NAMES} | {"overall": "yes"} | changed


def read(value: object) -> Opinion:
    return opinion(Reply(json.dumps(value), "stop"), RULES)


@pytest.mark.parametrize("spelling", ["yes", "Yes", "YES.", " yes! ", "**Yes**", '"yes"', True])
def test_yes_is_yes_however_it_is_spelled(spelling: object) -> None:
    said = read(answers(spelling, overall=spelling))

    assert {one.answer for one in said.answers.values()} == {Answer.YES}
    assert said.claimed is Answer.YES
    assert said.marks == (() if spelling == "yes" else (Mark.REWORDED,))


@pytest.mark.parametrize("spelling", ["no", "NO", "No.", "`no`", False])
def test_no_is_no_however_it_is_spelled(spelling: object) -> None:
    assert {one.answer for one in read(answers(spelling)).answers.values()} == {Answer.NO}


def test_keys_are_read_in_any_case_and_reasons_may_be_plural() -> None:
    value = {name.upper(): {"Reasons": "seen", "Answer": "Yes."} for name in NAMES} | {"Overall": "yes"}

    assert read(value).answers[NAMES[0]] == Said(Answer.YES, "seen")


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_without_an_answer_is_unparsable_and_named(name: str) -> None:
    value = answers()
    del value[name]
    with pytest.raises(Unparsable, match=name):
        read(value)
    with pytest.raises(Unparsable, match=name):
        read(answers() | {name: {"reason": "seen"}})


@pytest.mark.parametrize(
    "break_it",
    [
        lambda text: text.replace('"overall"', '"invented_rule": {"reason": "", "answer": "yes"}, "overall"'),
        lambda text: text.replace('"overall"', f'"{NAMES[0]}": {{"reason": "", "answer": "no"}}, "overall"'),
        lambda text: text.replace('"overall"', f'"{NAMES[0].upper()}": "no", "overall"'),
        lambda text: text.replace('"overall"', '"Invented": "no", "overall"'),
        lambda text: text.replace('"answer": "yes"', '"answer": "maybe"', 1),
        lambda text: text.replace('"answer": "yes"', '"answer": "yes and no"', 1),
        lambda text: text.replace('"answer": "yes"', '"answer": 1', 1),
        lambda text: text.replace('"overall": "yes"', '"overall": "mostly"'),
        lambda text: text + text.replace('"answer": "yes"', '"answer": "no"', 1),
        lambda _: "I am not sure.",
        lambda _: "yes",
    ],
)
def test_anything_that_is_not_one_answer_for_each_rule_is_unparsable(break_it: Callable[[str], str]) -> None:
    with pytest.raises(Unparsable):
        opinion(Reply(break_it(json.dumps(answers())), "stop"), RULES)


@pytest.mark.parametrize(
    ("change", "marks"),
    [
        (lambda said: {"rules": {name: said[name] for name in NAMES}, "overall": "no"}, (Mark.WRAPPED,)),
        (lambda said: said | {"overall": {"reason": "all is well", "answer": "no"}}, ()),
        (lambda said: said | {"overall": "no", "remark": "Well done."}, (Mark.EXTRA,)),
    ],
)
def test_the_overall_word_is_found_beside_the_rules(
    change: Callable[[dict[str, Any]], object], marks: tuple[Mark, ...]
) -> None:
    said = read(change(answers()))

    assert (said.claimed, said.marks) == (Answer.NO, marks)
    assert len(said.answers) == len(NAMES)


def test_a_verdict_without_an_overall_word_claims_nothing_and_is_marked() -> None:
    value = answers()
    del value["overall"]

    assert read(value)[1:] == (None, (Mark.UNCLAIMED,))


def test_not_applicable_is_an_answer_only_where_a_rule_may_not_apply() -> None:
    optional = next(rule.rule for rule in RULES if rule.may_not_apply)
    firm = next(rule.rule for rule in RULES if not rule.may_not_apply)
    unneeded = {"reason": "there is none", "answer": "N/A"}

    assert read(answers() | {optional: unneeded}).answers[optional].answer is Answer.NOT_CHECKED
    with pytest.raises(Unparsable, match=firm):
        read(answers() | {firm: unneeded})


def test_a_broken_required_rule_fails_whatever_the_judge_claims() -> None:
    required = next(rule.rule for rule in RULES if rule.required)
    said = read(answers() | {required: {"reason": "it is not", "answer": "no"}, "overall": "yes"})
    verdict = overall(merged(rules_of(TASK), said.answers, {}))

    assert verdict is Verdict.FAIL
    assert is_contradictory(verdict, said.claimed)


def test_a_broken_advisory_rule_only_informs() -> None:
    advisory = next(rule.rule for rule in RULES if not rule.required)
    said = read(answers() | {advisory: {"reason": "long", "answer": "no"}})
    verdict = overall(merged(rules_of(TASK), said.answers, {}))

    assert verdict is Verdict.PASS
    assert not is_contradictory(verdict, said.claimed)


def test_where_machine_and_model_both_answer_a_no_of_either_holds() -> None:
    rule = Rule("both", "?", (TASK,), True, CheckedBy.BOTH, 1)

    def answer(model: Answer, machine: Answer) -> tuple[Answer, CheckedBy]:
        (one,) = merged([rule], {"both": Said(model, "")}, {"both": Said(machine, "")})
        return one.answer, one.checked_by

    assert answer(Answer.YES, Answer.NO) == (Answer.NO, CheckedBy.MACHINE)
    assert answer(Answer.NO, Answer.YES) == (Answer.NO, CheckedBy.MODEL)
    assert answer(Answer.YES, Answer.NOT_CHECKED) == (Answer.YES, CheckedBy.MODEL)
    assert answer(Answer.NOT_CHECKED, Answer.YES) == (Answer.YES, CheckedBy.MACHINE)


@pytest.mark.parametrize("task", Task)
def test_the_schema_asks_for_every_rule_and_nothing_else(task: Task) -> None:
    strict = schema(asked_of(task))

    assert strict["additionalProperties"] is False
    assert strict["required"] == [*(rule.rule for rule in asked_of(task)), "overall"]


@pytest.mark.parametrize("task", Task)
def test_rule_sets_are_data_with_a_hash_of_their_own(task: Task) -> None:
    assert [rule["rule"] for rule in json.loads(rules_as_text(task))] == [
        rule.rule for rule in rules_of(task)
    ]
    assert len({rules_hash(one) for one in Task}) == 4

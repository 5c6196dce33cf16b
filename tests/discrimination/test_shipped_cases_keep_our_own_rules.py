"""What every prompt shows while a project has no cases of its own."""

import pytest

from app.code.syntax import parses
from app.discrimination.mechanical import machine_answers
from app.discrimination.opinion import Answer
from app.discrimination.prompts import Judged
from app.generation.shipped.cases import CASES, ShippedCase
from app.pipeline import Task


def test_each_task_has_a_good_and_a_bad_case() -> None:
    sides = {(shipped.task, shipped.case.is_good) for shipped in CASES}

    assert sides == {(task, is_good) for task in Task for is_good in (True, False)}


@pytest.mark.parametrize("shipped", [one for one in CASES if one.case.is_good], ids=lambda one: one.task)
def test_a_good_case_breaks_no_rule_that_a_machine_can_check(shipped: ShippedCase) -> None:
    case = shipped.case
    target = "python" if shipped.task is Task.TRANSLATION else None
    answers = machine_answers(
        Judged(shipped.task, shipped.language, target, case.instruction, case.information, case.solution), {}
    )

    assert [rule for rule, said in answers.items() if said.answer is Answer.NO] == []
    if shipped.task is not Task.SUMMARIZATION:
        assert parses(case.solution, target or shipped.language)
    if shipped.task is not Task.GENERATION:
        assert parses(case.information, shipped.language)

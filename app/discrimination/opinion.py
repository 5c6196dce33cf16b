"""Answers to rules and what follows from them: merging, the overall verdict, its place in the queue. Pure."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from app.discrimination.rubric import CheckedBy, Rule
from app.pipeline import Verdict


class Answer(StrEnum):
    YES = "yes"
    NO = "no"
    NOT_CHECKED = "not_checked"  # counts as neither


class Said(NamedTuple):
    """An answer with its reason."""

    answer: Answer
    reason: str


class Answered(NamedTuple):
    """A rule with the answer that holds, and who gave it."""

    rule: Rule
    answer: Answer
    reason: str
    checked_by: CheckedBy  # model or machine


class Priority:
    """Places in the work stream: the lowest is read first."""

    UNCERTAIN = 10  # contradictory or invalid verdicts: what a person adds most to
    FAILED_EVIDENCE = 20
    FAIL = 30
    PASS = 50


NOT_CHECKED = Said(Answer.NOT_CHECKED, "")


def merged(
    rules: Sequence[Rule], by_model: Mapping[str, Said], by_machine: Mapping[str, Said]
) -> list[Answered]:
    """One answer for each rule; `by_machine` goes by the name of the check. Of two answers a "no" of either holds,
    the machine's first."""
    return [_of_either(rule, by_model, by_machine) for rule in rules]


def _of_either(rule: Rule, by_model: Mapping[str, Said], by_machine: Mapping[str, Said]) -> Answered:
    model = by_model.get(rule.rule, NOT_CHECKED)
    machine = by_machine.get(rule.checked_as, NOT_CHECKED)
    if rule.checked_by is CheckedBy.MODEL:
        return Answered(rule, *model, CheckedBy.MODEL)
    machine_decides = machine.answer is Answer.NO or model.answer is Answer.NOT_CHECKED
    if rule.checked_by is CheckedBy.MACHINE or machine_decides:
        return Answered(rule, *machine, CheckedBy.MACHINE)
    return Answered(rule, *model, CheckedBy.MODEL)


def overall(answers: Sequence[Answered]) -> Verdict:
    """`fail` when a required rule is broken, else `pass`. Nobody's own overall word counts."""
    return Verdict.FAIL if any(_breaks(answer) for answer in answers) else Verdict.PASS


def is_contradictory(verdict: Verdict, claimed: Answer | None) -> bool:
    """Whether the judge's own overall word says something else than the rules."""
    return claimed is not None and (claimed is Answer.YES) != (verdict is Verdict.PASS)


def is_settled(answers: Sequence[Answered]) -> bool:
    """Whether every required rule was answered, or one was broken: only then a case can teach anything."""
    required = [answer for answer in answers if answer.rule.required]
    return any(_breaks(answer) for answer in required) or all(
        answer.answer is Answer.YES or (answer.rule.may_not_apply and answer.checked_by is CheckedBy.MODEL)
        for answer in required
    )


def analysis(answers: Sequence[Answered]) -> str:
    """Why the case is good or bad, in the judge's words: the broken rules, or the reasons of those kept."""
    broken = [answer for answer in answers if _breaks(answer)]
    shown = broken or [answer for answer in answers if answer.answer is Answer.YES]
    return "\n".join(f"{answer.rule.rule}: {answer.answer}. {answer.reason}".strip() for answer in shown)


def priority(verdict: Verdict, *, contradictory: bool, evidence_failed: bool) -> int:
    if contradictory or verdict is Verdict.INVALID:
        return Priority.UNCERTAIN
    if evidence_failed:
        return Priority.FAILED_EVIDENCE
    return Priority.FAIL if verdict is Verdict.FAIL else Priority.PASS


def _breaks(answer: Answered) -> bool:
    return answer.rule.required and answer.answer is Answer.NO

"""The rules by which instances are judged. Rules are data: a changed one is another set, by its hash. Pure.

The rules follow those visible in WaveCoder (arXiv 2312.14187): language named, instruction answered, code only,
readable, imports present, real input, relevant instruction.
"""

import json
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from app.pipeline import Task
from app.prompting.template import template_hash


class CheckedBy(StrEnum):
    MODEL = "model"
    MACHINE = "machine"
    BOTH = "both"  # a "no" of either is a "no"


class Rule(NamedTuple):
    """One question with the answer yes or no."""

    rule: str  # its id, the same in prompts, tables and URLs
    text: str
    tasks: tuple[Task, ...]
    required: bool  # a required rule's "no" fails the instance; an advisory one's only informs
    checked_by: CheckedBy
    version: int
    may_not_apply: bool = False  # whether "not applicable" is an answer


VERSION = "1"

_EVERY_TASK = tuple(Task)
_CODE_TASKS = (Task.GENERATION, Task.TRANSLATION, Task.REPAIR)  # the solution is code
_WHOLE_CODE = (Task.GENERATION, Task.TRANSLATION)

RULES: tuple[Rule, ...] = (
    Rule(
        "language_named",
        "The instruction names the programming language; that of a translation names both.",
        _EVERY_TASK,
        required=True,
        checked_by=CheckedBy.MACHINE,
        version=1,
    ),
    Rule(
        "short_instruction",
        "The instruction is a request of one or two sentences in words, not a comment and not code.",
        _EVERY_TASK,
        required=True,
        checked_by=CheckedBy.MACHINE,
        version=1,
    ),
    Rule(
        "code_parses",
        "The code that the instance must have right is free of syntax errors.",
        _EVERY_TASK,
        required=True,
        checked_by=CheckedBy.MACHINE,
        version=1,
    ),
    Rule(
        "not_given_away",
        "The information neither is nor contains the solution.",
        _EVERY_TASK,
        required=True,
        checked_by=CheckedBy.MACHINE,
        version=1,
    ),
    Rule(
        "code_only",
        "The solution is code and comments in the code, nothing else.",
        _CODE_TASKS,
        required=True,
        checked_by=CheckedBy.BOTH,
        version=1,
    ),
    Rule(
        "imports_present",
        "Needed imports are present and every name that the solution uses is defined or given.",
        _WHOLE_CODE,
        required=True,
        checked_by=CheckedBy.BOTH,
        version=1,
    ),
    Rule(
        "real_input",
        "The information is real code or a statement one can work from: complete, no placeholders.",
        _EVERY_TASK,
        required=True,
        checked_by=CheckedBy.MODEL,
        version=1,
        may_not_apply=True,
    ),
    Rule(
        "relevant_instruction",
        "The instruction is about this information and asks for this task.",
        _EVERY_TASK,
        required=True,
        checked_by=CheckedBy.MODEL,
        version=1,
    ),
    Rule(
        "solution_answers",
        "The solution resolves the instruction, given the information, completely and correctly.",
        _EVERY_TASK,
        required=True,
        checked_by=CheckedBy.MODEL,
        version=1,
    ),
    Rule(
        "summary_true",
        "Every statement of the summary is true of the code.",
        (Task.SUMMARIZATION,),
        required=True,
        checked_by=CheckedBy.MODEL,
        version=1,
    ),
    Rule(
        "same_behaviour",
        "The translation does the same as the original for every input.",
        (Task.TRANSLATION,),
        required=True,
        checked_by=CheckedBy.MODEL,
        version=1,
    ),
    Rule(
        "real_bug",
        "The information has a bug that shows when it runs, and the solution removes it and changes nothing else.",
        (Task.REPAIR,),
        required=True,
        checked_by=CheckedBy.MODEL,
        version=1,
    ),
    Rule(
        "readable",
        "The logic can be followed: it is not buried in long undocumented code.",
        _CODE_TASKS,
        required=False,
        checked_by=CheckedBy.MODEL,
        version=1,
    ),
)


@cache
def rules_of(task: Task) -> tuple[Rule, ...]:
    """The rules in force for `task`, in the order in which they are asked and shown."""
    return tuple(rule for rule in RULES if task in rule.tasks)


@cache
def asked_of(task: Task) -> tuple[Rule, ...]:
    """Those that a model answers."""
    return tuple(rule for rule in rules_of(task) if rule.checked_by is not CheckedBy.MACHINE)


@cache
def rules_as_text(task: Task) -> str:
    """The rule set as canonical JSON, as it is kept and hashed."""
    return json.dumps(
        [rule._asdict() for rule in rules_of(task)], ensure_ascii=False, indent=1, sort_keys=True
    )


@cache
def rules_hash(task: Task) -> str:
    return template_hash(rules_as_text(task))

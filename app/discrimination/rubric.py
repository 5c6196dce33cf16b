"""The rules by which instances are judged. Rules are data: a changed one is another set, by its hash. Pure.

The rules follow those visible in WaveCoder (arXiv 2312.14187): language named, instruction answered, code only,
readable, imports present, real input, relevant instruction.
"""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, NamedTuple

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
    language: str | None = None  # asked only about instances in it, or translated to it
    check: str | None = (
        None  # the mechanical check or the kind of evidence that answers; without: of the rule's name
    )

    def holds_for(self, language: str, target_language: str | None) -> bool:
        return self.language is None or self.language in (language, target_language)

    @property
    def checked_as(self) -> str:
        return self.check or self.rule


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


class RuleSet(NamedTuple):
    """The rules of one task, as runs freeze them."""

    rules: tuple[Rule, ...]
    content_hash: str

    def of(self, language: str, target_language: str | None) -> tuple[Rule, ...]:
        """Those that hold for an instance."""
        return tuple(rule for rule in self.rules if rule.holds_for(language, target_language))


def by_a_model(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Those of `rules` that a model answers."""
    return tuple(rule for rule in rules if rule.checked_by is not CheckedBy.MACHINE)


def text_of(rules: Iterable[Rule]) -> str:
    """A rule set as canonical JSON, as it is kept and hashed."""
    return json.dumps([as_data(rule) for rule in rules], ensure_ascii=False, indent=1, sort_keys=True)


def as_data(rule: Rule) -> dict[str, Any]:
    """A rule as JSON has it, without what few rules say."""
    said = rule._asdict()
    return {name: value for name, value in said.items() if value is not None}


def rule_from(data: Mapping[str, Any]) -> Rule:
    """The rule of which `data` was made."""
    known = {name: data[name] for name in Rule._fields if name in data}
    known["tasks"] = tuple(Task(task) for task in data["tasks"])
    known["checked_by"] = CheckedBy(data["checked_by"])
    return Rule(**known)


@lru_cache(maxsize=256)
def rule_set(text: str) -> RuleSet:
    """The set of which `text` was made."""
    return RuleSet(tuple(rule_from(data) for data in json.loads(text)), template_hash(text))


# --- as shipped -------------------------------------------------------------------------------------------


@cache
def rules_of(task: Task) -> tuple[Rule, ...]:
    """The shipped rules of `task`, in the order in which they are asked and shown."""
    return tuple(rule for rule in RULES if task in rule.tasks)


@cache
def asked_of(task: Task) -> tuple[Rule, ...]:
    """Those that a model answers."""
    return by_a_model(rules_of(task))


@cache
def rules_as_text(task: Task) -> str:
    """The shipped rule set as canonical JSON, as it is kept and hashed."""
    return text_of(rules_of(task))


@cache
def rules_hash(task: Task) -> str:
    return template_hash(rules_as_text(task))

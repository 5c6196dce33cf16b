"""The judge's prompts. Versioned text: a changed word or rule is another template, by its content hash. Pure."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from app.code.languages import LANGUAGES
from app.discrimination.rubric import VERSION as RULES_VERSION
from app.discrimination.rubric import Rule, asked_of, rules_as_text
from app.pipeline import Task
from app.prompting.editing import Placeholder
from app.prompting.exemplars import Case, case_in_words
from app.prompting.prompt import Prompt
from app.prompting.template import BETWEEN, Template, filled, messages_of, template_hash, template_of
from app.prompting.untrusted import HOW_TO_READ_IT, neutralise

VERSION = "1"
MOST_OUTPUT_TOKENS = 2048

_SYSTEM = """\
You judge training instances for code models. An instance is a task of the kind "{task}" with its solution: an \
instruction, the information it works on, and the solution.

Go through the rules one by one. For each, first write in one sentence what you see, then answer yes (the rule \
is kept) or no (it is broken){not_applicable}. Judge what stands there, not what was probably meant.

Rules:
{rules}

{how_to_read}

Reply with one JSON object: for each rule its name with an object of "reason" and "answer", and last "overall" \
with yes if the instance is fit for training, else no."""

_USER = """\
{cases}Now judge this instance. Its language is {languages}.

instruction:
{instruction}

information:
{information}

solution:
{solution}"""


class Judged(NamedTuple):
    """The instance that is judged."""

    task: Task
    language: str
    target_language: str | None
    instruction: str
    information: str
    solution: str


@cache
def template(task: Task) -> Template:
    """The judge's shipped template for `task`: its text before rules and an instance are put in, and its hash."""
    system = filled(_SYSTEM, {"task": f"code {task}", "how_to_read": HOW_TO_READ_IT})
    return template_of(f"judge/{task}", VERSION, f"{system}{BETWEEN}{_USER}")


@cache
def rules_template(task: Task) -> Template:
    """The shipped rule set of `task`, as verdicts point at it."""
    return template_of(f"rules/{task}", RULES_VERSION, rules_as_text(task))


def placeholders(_: Task) -> tuple[Placeholder, ...]:
    """What a judge's template is filled with."""
    return (
        Placeholder("rules", "the rules that the judge answers, one a line", "system"),
        Placeholder(
            "not_applicable", "which rules may be answered “not applicable”", "system", required=False
        ),
        Placeholder("cases", "a good and a bad judged case with its analysis", "user", required=False),
        Placeholder("languages", "the language of the instance, and of a translation its target", "user"),
        Placeholder("instruction", "the instance's instruction, fenced", "user"),
        Placeholder("information", "the instance's information, fenced", "user"),
        Placeholder("solution", "the instance's solution, fenced", "user"),
    )


def ask(
    judged: Judged,
    good: Case | None,
    bad: Case | None,
    content: str | None = None,
    rules: Sequence[Rule] | None = None,
) -> Prompt:
    """The question that asks for a verdict. Whoever knows the ids of the cases adds them.

    `content`: of another template than the shipped one; `rules`: others than the shipped ones that a model answers.
    """
    rules = asked_of(judged.task) if rules is None else rules
    content = content or template(judged.task).content
    system, user = messages_of(content)
    return Prompt(
        system=filled(system, _about_rules(rules)),
        user=filled(user, _about_instance(judged, good, bad)),
        schema_name="verdict",
        schema=schema(rules),
        template_hash=template_hash(content),
        max_output_tokens=MOST_OUTPUT_TOKENS,
    )


def schema(rules: Sequence[Rule]) -> Mapping[str, Any]:
    """The strict JSON schema of a reply: every rule by its name, then the overall answer."""
    properties: dict[str, Any] = {}
    for rule in rules:
        answers = ["yes", "no", "not applicable"] if rule.may_not_apply else ["yes", "no"]
        properties[rule.rule] = {
            "type": "object",
            "properties": {
                "reason": {"type": "string"},
                "answer": {"type": "string", "enum": answers},
            },
            "required": ["reason", "answer"],
            "additionalProperties": False,
        }
    properties["overall"] = {"type": "string", "enum": ["yes", "no"]}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _about_rules(rules: Sequence[Rule]) -> dict[str, str]:
    optional = ", ".join(rule.rule for rule in rules if rule.may_not_apply)
    return {
        "rules": "\n".join(f"- {rule.rule}: {rule.text}" for rule in rules),
        "not_applicable": f'; "not applicable" is an answer to {optional} only' if optional else "",
    }


def _about_instance(judged: Judged, good: Case | None, bad: Case | None) -> dict[str, str]:
    languages = _title(judged.language)
    if judged.target_language is not None:
        languages += f", the target language {_title(judged.target_language)}"
    return {
        "cases": "".join(f"{case_in_words(case)}\n\n" for case in (good, bad) if case is not None),
        "languages": languages,
        "instruction": neutralise(judged.instruction),
        "information": neutralise(judged.information),
        "solution": neutralise(judged.solution),
    }


def _title(language: str) -> str:
    """What is imported may be in a language that is none of ours."""
    return LANGUAGES[language].title if language in LANGUAGES else "not known"

"""The generator's prompts. Versioned text: a changed word is another template, by its content hash. Pure."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from app.code.languages import LANGUAGES
from app.generation.tasks import BRIEFS, GRANULARITIES
from app.pipeline import Granularity, Task
from app.prompting.editing import Placeholder
from app.prompting.exemplars import Case, case_in_words
from app.prompting.prompt import Prompt
from app.prompting.template import BETWEEN, Template, filled, messages_of, template_hash, template_of
from app.prompting.untrusted import HOW_TO_READ_IT, neutralise

VERSION = "1"
MOST_OUTPUT_TOKENS = 2048
TEMPERATURE = 0.7  # several candidates of one pick should differ

KEYS = ("task_name", "instruction", "information", "solution")

_SYSTEM = """\
You write training instances for code models from raw code. An instance is a task that a programmer could be \
given, with its solution.

Task: {task_name}. {definition}

Requirements:
{requirements}

{how_to_read}

Reply with one JSON object with exactly these keys, all of them strings:
- task_name: "{task_name}"
- instruction: the request
- information: {information}
- solution: {solution}"""

_USER = """\
{cases}Now write an instance of the task from this raw {language} code. Do not copy the cases above.
{particulars}
{material}"""


class Material(NamedTuple):
    """What one question is about."""

    task: Task
    language: str
    code: str
    comment: str
    content_hash: str  # the snippet's
    target_language: str | None
    bug: str | None
    candidate: int
    granularity: str | None = None


@cache
def template(task: Task) -> Template:
    """The shipped template of `task`: its text before a snippet and cases are put in, and its hash."""
    return template_of(f"generate/{task}", VERSION, f"{instructions(task)}{BETWEEN}{_USER}")


def placeholders(task: Task) -> tuple[Placeholder, ...]:
    """What a template of `task` is filled with."""
    return (
        Placeholder("cases", "a good and a bad judged case with its analysis", "user", required=False),
        Placeholder("language", "the language of the raw code", "user"),
        Placeholder(
            "particulars",
            "the target language of a translation, the kind of bug of a repair, how much a summary says",
            "user",
            required=task is not Task.GENERATION,
        ),
        Placeholder("material", "the raw code, and its comment where the task may see it, fenced", "user"),
    )


def ask(material: Material, good: Case | None, bad: Case | None, content: str | None = None) -> Prompt:
    """The question that asks for one instance. Whoever knows the ids of the cases adds them.

    `content`: of another template than the shipped one.
    """
    content = content or template(material.task).content
    values = {
        "cases": "".join(f"{case_in_words(case)}\n\n" for case in (good, bad) if case is not None),
        "language": LANGUAGES[material.language].title,
        "particulars": particulars(material),
        "material": material_in_words(material),
    }
    return question(material, content, values)


def question(material: Material, content: str, values: Mapping[str, str]) -> Prompt:
    """A template filled with `values`, which asks for an instance of `material`."""
    system, user = messages_of(content)
    return Prompt(
        system=filled(system, values),
        user=filled(user, values),
        schema_name="instance",
        schema=schema(material.task),
        template_hash=template_hash(content),
        max_output_tokens=MOST_OUTPUT_TOKENS,
        temperature=TEMPERATURE,
        sample=material.candidate,
    )


def schema(task: Task) -> Mapping[str, Any]:
    """The strict JSON schema of a reply."""
    properties: dict[str, Any] = {key: {"type": "string"} for key in KEYS}
    properties["task_name"]["enum"] = [BRIEFS[task].task_name]
    return {
        "type": "object",
        "properties": properties,
        "required": list(KEYS),
        "additionalProperties": False,
    }


def instructions(task: Task) -> str:
    """The system message of a task."""
    brief = BRIEFS[task]
    return _SYSTEM.format(
        task_name=brief.task_name,
        definition=brief.definition,
        requirements="\n".join(f"- {requirement}" for requirement in brief.requirements),
        how_to_read=HOW_TO_READ_IT,
        information=brief.information,
        solution=brief.solution,
    )


def particulars(material: Material) -> str:
    """What this question asks beyond its task."""
    if material.target_language is not None:
        return f"The target language is {LANGUAGES[material.target_language].title}."
    if material.bug is not None:
        return f"The bug to put in is {material.bug}."
    if material.granularity is not None:
        return GRANULARITIES[Granularity(material.granularity)]
    return ""


def material_in_words(material: Material) -> str:
    """The raw code, and its comment where the task may see it, fenced."""
    parts = [f"The code:\n{neutralise(material.code)}"]
    if BRIEFS[material.task].sees_comment and material.comment:
        parts.insert(0, f"Its comment:\n{neutralise(material.comment)}")
    return "\n".join(parts)

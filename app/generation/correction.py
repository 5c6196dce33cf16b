"""Asking the generator for a better text after a verdict against its first one. Pure."""

from functools import cache

from app.code.languages import LANGUAGES
from app.generation.parsing import Written
from app.generation.prompts import (
    MOST_OUTPUT_TOKENS,
    TEMPERATURE,
    Material,
    instructions,
    material_in_words,
    particulars,
    schema,
)
from app.pipeline import Task
from app.prompting.prompt import Prompt
from app.prompting.template import BETWEEN, Template, filled, messages_of, template_hash, template_of
from app.prompting.untrusted import neutralise

VERSION = "1"

_USER = """\
An instance was written from this raw {language} code and found wanting. Write it anew, so that nothing of what was \
found is left. Keep what is right about it.
{particulars}
{material}

The instance as it is:

instruction:
{instruction}

information:
{information}

solution:
{solution}

What was found:
{analysis}"""


@cache
def template(task: Task) -> Template:
    """The shipped template of `task`."""
    return template_of(f"correct/{task}", VERSION, f"{instructions(task)}{BETWEEN}{_USER}")


def ask(material: Material, first: Written, analysis: str, content: str) -> Prompt:
    """The question for a better text than `first`; `analysis`: what was found against it."""
    system, user = messages_of(content)
    values = {
        "language": LANGUAGES[material.language].title,
        "particulars": particulars(material),
        "material": material_in_words(material),
        "instruction": neutralise(first.instruction),
        "information": neutralise(first.information),
        "solution": neutralise(first.solution),
        "analysis": neutralise(analysis),
    }
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

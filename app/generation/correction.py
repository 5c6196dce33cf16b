"""Asking the generator for a better text after a verdict against its first one. Pure."""

from functools import cache

from app.code.languages import LANGUAGES
from app.generation.parsing import Written
from app.generation.prompts import (
    Material,
    instructions,
    material_in_words,
    particulars,
    question,
)
from app.pipeline import Task
from app.prompting.prompt import Prompt
from app.prompting.template import BETWEEN, Template, template_of
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
    values = {
        "language": LANGUAGES[material.language].title,
        "particulars": particulars(material),
        "material": material_in_words(material),
        "instruction": neutralise(first.instruction),
        "information": neutralise(first.information),
        "solution": neutralise(first.solution),
        "analysis": neutralise(analysis),
    }
    return question(material, content, values)

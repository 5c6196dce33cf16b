"""The offline teacher: instances from a snippet's own comment and syntax tree, without a model. Pure.

Summarization: code -> its comment. Generation: comment and signature -> code. Repair: one mutation -> the
original. Translation needs a model. The answer has the form of a model's, so that one parser reads both.
"""

import json
import random
from typing import NamedTuple

from app.code.docstrings import without_docstring
from app.code.languages import LANGUAGES
from app.generation.mutations import mutate
from app.generation.parsing import Written
from app.generation.parts import before_body
from app.generation.prompts import Material
from app.generation.tasks import BRIEFS
from app.pipeline import Task
from app.prompting.prompt import Answered, Reply
from app.prompting.template import template_hash

TASKS = (Task.SUMMARIZATION, Task.GENERATION, Task.REPAIR)  # those that need no model

_VERSION = "offline teacher 1"
TEMPLATE_HASH = template_hash(_VERSION)

_REQUESTS = {
    Task.SUMMARIZATION: (
        "Summarise what the following {language} function does.",
        "Write the documentation comment of the following {language} function.",
        "Describe in plain words what this {language} function does and what it gives back.",
    ),
    Task.GENERATION: (
        "Write the {language} function that the signature and the description ask for.",
        "Implement the following {language} function so that it does what its description says.",
        "Complete this {language} function: its signature is given, its description says what it must do.",
    ),
    Task.REPAIR: (
        "The following {language} function has a bug. Repair it.",
        "One thing is wrong in this {language} function; write the function without the bug.",
        "Find and fix the bug in the following {language} function.",
    ),
}


class Lesson(NamedTuple):
    """What the teacher answers, and the mutation it made for a repair."""

    answered: Answered
    bug: str | None


def teach(material: Material, seed: int) -> Lesson:
    """One instance from `material`; the same seed gives the same one.

    Where the snippet does not allow the task, the answer is a refusal that says why.
    """
    if material.task is Task.REPAIR:
        return _repair(material, seed)
    if material.task is Task.TRANSLATION:
        return _refusal("translation needs a model")
    if not material.comment.strip():
        return _refusal("the code has no comment")
    if material.task is Task.SUMMARIZATION:
        return _lesson(material, seed, without_docstring(material.code, material.language), material.comment)
    signature = before_body(material.code, material.language)
    if not signature:
        return _refusal("the code has no signature")
    return _lesson(material, seed, f"{signature}\n\n{material.comment.strip()}", material.code)


def _repair(material: Material, seed: int) -> Lesson:
    mutant = mutate(material.code, material.language, seed)
    if mutant is None:
        return _refusal("no mutation applies to the code")
    return _lesson(material, seed, mutant.code, material.code)._replace(bug=mutant.operator)


def _lesson(material: Material, seed: int, information: str, solution: str) -> Lesson:
    request = random.Random(seed).choice(_REQUESTS[material.task])
    instance = Written(
        task_name=BRIEFS[material.task].task_name,
        instruction=request.format(language=LANGUAGES[material.language].title),
        information=information,
        solution=solution.strip("\n"),
    )
    text = json.dumps(instance._asdict(), ensure_ascii=False)
    return Lesson(Answered(Reply(text, finish_reason="stop"), TEMPLATE_HASH), bug=None)


def _refusal(why: str) -> Lesson:
    return Lesson(Answered(Reply("", finish_reason="stop", refusal=why), TEMPLATE_HASH), bug=None)

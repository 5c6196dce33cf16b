"""The offline teacher: instances from a snippet's own comment and syntax tree, without a model. Pure.

Summarization: code -> its comment. Generation: comment and signature -> code. Repair: one mutation -> the
original. Translation needs a model. The answer has the form of a model's, so that one parser reads both.
"""

import json
import random
from collections.abc import Sequence
from typing import NamedTuple

from app.code.docstrings import prose, without_docstring
from app.code.languages import LANGUAGES
from app.code.names import undefined_names
from app.code.sentences import first_sentence
from app.generation.mutations import mutate
from app.generation.parsing import Written
from app.generation.parts import before_body
from app.generation.prompts import Material
from app.generation.tasks import BRIEFS
from app.pipeline import Granularity, Task
from app.prompting.prompt import Answered, Reply
from app.prompting.template import template_hash

TASKS = (Task.SUMMARIZATION, Task.GENERATION, Task.REPAIR)  # those that need no model
GRANULARITIES = (Granularity.LINE, Granularity.PARAGRAPH)  # that a comment gives

_VERSION = "offline teacher 2"
TEMPLATE_HASH = template_hash(_VERSION)

_REQUESTS = {
    Task.SUMMARIZATION: (
        "Describe in plain words what the following {language} function does.",
        "Write a paragraph that tells what this {language} function does.",
        "Summarise this {language} function for somebody who is about to call it.",
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

_IN_ONE_SENTENCE = (
    "Summarise what the following {language} function does in one sentence.",
    "Write the first line of the documentation of this {language} function.",
    "Say in one sentence what this {language} function is for.",
)


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
        return _summary(material, seed)
    signature = before_body(material.code, material.language)
    if not signature:
        return _refusal("the code has no signature")
    parts = (signature, material.comment.strip(), _given(material))
    return _lesson(material, seed, "\n\n".join(part for part in parts if part), material.code)


def _given(material: Material) -> str:
    """What the code takes from the module around it, which nobody could guess."""
    if material.language != "python":
        return ""
    try:
        names = undefined_names(material.code)
    except SyntaxError:
        return ""
    return f"Its module gives: {', '.join(f'`{name}`' for name in names)}." if names else ""


def _summary(material: Material, seed: int) -> Lesson:
    said = prose(material.comment)
    if not said:
        return _refusal("the comment of the code has no sentence")
    code = without_docstring(material.code, material.language)
    if material.granularity == Granularity.LINE:
        return _lesson(material, seed, code, first_sentence(said), _IN_ONE_SENTENCE)
    return _lesson(material, seed, code, said)


def _repair(material: Material, seed: int) -> Lesson:
    mutant = mutate(material.code, material.language, seed)
    if mutant is None:
        return _refusal("no mutation applies to the code")
    return _lesson(material, seed, mutant.code, material.code)._replace(bug=mutant.operator)


def _lesson(
    material: Material, seed: int, information: str, solution: str, requests: Sequence[str] = ()
) -> Lesson:
    request = random.Random(seed).choice(requests or _REQUESTS[material.task])
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

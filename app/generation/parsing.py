"""A generator's reply becomes an instance, or says why it cannot. Pure."""

from typing import NamedTuple

from app.code.fingerprint import differ_in_comments_only
from app.errors import Unparsable
from app.generation.prompts import KEYS
from app.generation.tasks import BRIEFS
from app.pipeline import LANGUAGES, Task
from app.prompting.prompt import Reply
from app.prompting.reading import Mark, named, plain_text, read_json, usable_text
from app.prompting.untrusted import restored

_PROSE = {Task.SUMMARIZATION: ("instruction", "solution")}  # else the instruction alone


class Written(NamedTuple):
    """The four keys of an instance."""

    task_name: str
    instruction: str
    information: str
    solution: str


class Parsed(NamedTuple):
    """An instance read from a reply; `marks` say how the reply was not as asked for."""

    written: Written
    marks: tuple[Mark, ...]


def parsed(reply: Reply, task: Task, language: str | None = None) -> Parsed:
    """The instance in `reply`.

    Raises Unparsable unless it has the four keys, as strings, with the asked task's name, an instruction and a
    solution; a repair must hold buggy code, and the solution must differ from it: in `language`, if it is known,
    in more than comments. As `other_language` where
    its prose is written in another script than English. Keys beyond the four are marked and left out.
    """
    found = read_json(usable_text(reply), KEYS)
    asked, extra, marks = named(found.value, KEYS)
    _refuse_missing_keys(asked)
    instance = Written(**{key: _text(asked[key], key) for key in KEYS})
    if _plain_name(instance.task_name) not in (_plain_name(BRIEFS[task].task_name), task):
        raise Unparsable(f'task_name must be "{BRIEFS[task].task_name}"')
    for key in ("instruction", "solution"):
        if not getattr(instance, key).strip():
            raise Unparsable(f"{key} is empty")
    for key in _PROSE.get(task, ("instruction",)):
        _refuse_other_script(getattr(instance, key), key)
    if task is Task.REPAIR:
        _refuse_no_bug(instance, language)
    also = ((Mark.EXTRA, bool(extra)), (Mark.REWORDED, instance.task_name != BRIEFS[task].task_name))
    instance = instance._replace(task_name=BRIEFS[task].task_name, instruction=instance.instruction.strip())
    return Parsed(instance, (*found.marks, *marks, *(mark for mark, holds in also if holds)))


def _text(value: object, key: str) -> str:
    """A key's text; what the model copied from inside our fences is as it was in the raw code."""
    return plain_text(restored(plain_text(value, key)), key)


def _refuse_missing_keys(value: dict[str, object]) -> None:
    missing = [key for key in KEYS if key not in value]
    if missing:
        raise Unparsable(f"missing: {', '.join(missing)}")


def _refuse_other_script(text: str, key: str) -> None:
    """Most letters of English are Latin ones, whatever names of other languages it quotes."""
    letters = [character for character in text if character.isalpha()]
    others = sum(1 for letter in letters if not (letter < "\u0250" or "\u1e00" <= letter < "\u1f00"))
    if others * 2 > len(letters):
        raise Unparsable(f"{key} is not in English", "other_language")


def _refuse_no_bug(instance: Written, language: str | None) -> None:
    if not instance.information.strip():
        raise Unparsable("information must hold the code with the bug")
    if _without_trailing_space(instance.information) == _without_trailing_space(instance.solution):
        raise Unparsable("the solution is the same as the code with the bug")
    if language in LANGUAGES and differ_in_comments_only(instance.information, instance.solution, language):
        raise Unparsable("the solution differs from the code with the bug in comments only")


def _without_trailing_space(code: str) -> str:
    return "\n".join(line.rstrip() for line in code.strip().splitlines())


def _plain_name(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").split())

"""A record of a finished set as an instruction instance, or the refusal that says what is wrong with it. Pure."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, cast

from pygments.lexers import find_lexer_class_by_name
from pygments.util import ClassNotFound

from app.code.languages import language_named
from app.code.recognising import language_of
from app.ingestion.argilla import argilla
from app.ingestion.decoding import Refused, refused_row, unreadable
from app.ingestion.fields import Parts, optional, required
from app.ingestion.licences import admits, spdx
from app.ingestion.rows import ODD, READING_RULES, Refusal, printable
from app.pipeline import OTHER, Task

LONGEST_TEXT = 100_000  # characters, as a reader's own edit may have
LONGEST_NAME = 200
IMPORTED = "imported"  # the generator of what does not say who wrote it
DUPLICATE_RULE = "duplicate"
LICENCE_RULE = "licence_not_allowed"
IMPORT_RULES: dict[str, str] = {
    **{
        rule: READING_RULES[rule]
        for rule in (
            "empty_file",
            "broken_line",
            "not_an_object",
            "line_too_long",
            "wrong_type",
            "broken_gzip",
            "too_much_unpacked",
            "too_many_empty_lines",
            "unreadable",
            "reading_stopped",
        )
    },
    "broken_array": "The JSON array breaks off or is damaged; records before the place are kept.",
    "missing_field": "A key that every row of this format needs is not there.",
    "bad_encoding": "The text is not UTF-8.",
    "nul_character": "The text holds a NUL character, which no database keeps.",
    "empty_text": "The instruction or the solution is empty.",
    "text_too_long": f"A text has more than {LONGEST_TEXT:,} characters, or a name more than {LONGEST_NAME}.",
    LICENCE_RULE: "The licence is not on the project's list.",
    DUPLICATE_RULE: "The project has an instance with the same task, instruction, information and solution.",
}

_MOST_LEVELS = 20  # of objects within objects that are kept as such


class Given(NamedTuple):
    """What was said of the whole set, for rows that say nothing of their own."""

    license: str | None = None  # SPDX; None is unknown
    task: Task | None = None
    language: str | None = None


class Instruction(NamedTuple):
    """A finished instance with what came with it."""

    task: str
    language: str
    target_language: str | None
    task_name: str
    instruction: str
    information: str
    solution: str
    generator: str
    license: str | None
    external_id: str | None
    kept: Mapping[str, Any]


class Finished(NamedTuple):
    file: str
    line: int
    instruction: Instruction


def codeocean(record: Mapping[str, Any]) -> Parts:
    """A row of our own: the four keys, with or without the others of a release."""
    texts = {name: required(record, name) for name in ("instruction", "information", "solution")}
    if record.get("task") is None:
        required(record, "task_name")
    return Parts(**texts, own=record, rest=_without(record, texts), external_id=record.get("id"))


def alpaca(record: Mapping[str, Any]) -> Parts:
    """instruction, input and output; input may be left out."""
    return Parts(
        instruction=required(record, "instruction"),
        information=optional(record, "input"),
        solution=required(record, "output"),
        own=record,
        rest=_without(record, ("instruction", "input", "output")),
        external_id=record.get("id"),
    )


SHAPES: dict[str, Callable[[Mapping[str, Any]], Parts]] = {
    "codeocean": codeocean,
    "alpaca": alpaca,
    "argilla": argilla,
}


def shape_of(record: Mapping[str, Any]) -> str | None:
    """The format that a record's keys show, or None."""
    if isinstance(record.get("fields"), dict) or any(
        name.endswith((".suggestion", ".responses")) for name in record
    ):
        return "argilla"
    if "instruction" in record:
        return "codeocean" if "solution" in record else "alpaca" if "output" in record else None
    return None


def finished(
    record: Mapping[str, Any], file: str, line: int, shape: str, given: Given, allowed: list[str] | None
) -> Finished | Refusal:
    """The instance that a record holds. `allowed` is the project's list of licences, if it has one."""
    try:
        return Finished(file, line, _instruction(SHAPES[shape](record), given, allowed))
    except Refused as refused:
        return refused_row(refused, record, file, line)
    except ODD as error:
        return unreadable(error, file, line)


def _instruction(parts: Parts, given: Given, allowed: list[str] | None) -> Instruction:
    for name in ("instruction", "information", "solution"):
        _refuse_unfit(name, getattr(parts, name))
    task_name = _name_in(parts.own, "task_name") or ""
    task = task_named(_name_in(parts.own, "task")) or task_named(task_name) or given.task or Task.GENERATION
    language, target = _languages(parts, task, given)
    license_ = _licence(parts.own, given)
    if allowed is not None and not admits(allowed, license_):
        raise Refused(LICENCE_RULE, f"{license_ or 'an unknown licence'} is not on the project's list")
    told: dict[str, Any] = {
        "task": task.value,
        "language": language,
        "target_language": target,
        "task_name": task_name or f"code {task}",
        "generator": _name_in(parts.own, "generator", "model") or IMPORTED,
    }
    external_id = None
    if isinstance(parts.external_id, str | int):
        told |= dict.fromkeys(("id", "external_id"), parts.external_id)
        external_id = printable(str(parts.external_id))[:LONGEST_NAME]
    return Instruction(
        task=task.value,
        language=language,
        target_language=target,
        task_name=told["task_name"],
        instruction=parts.instruction,
        information=parts.information,
        solution=parts.solution,
        generator=told["generator"],
        license=license_,
        external_id=external_id,
        kept=_kept(parts.rest, told),
    )


def _refuse_unfit(name: str, text: str) -> None:
    if len(text) > LONGEST_TEXT:
        raise Refused("text_too_long", f"the {name} has {len(text):,} characters")
    if name != "information" and not text.strip():
        raise Refused("empty_text", f"the {name} is empty")


def _name_in(own: Mapping[str, Any], *names: str) -> str | None:
    """The first of these keys that holds a text: a word or two, not prose. Raises Refused for a longer one."""
    for name in names:
        value = own.get(name)
        if isinstance(value, str) and value.strip():
            text = optional(own, name).strip()
            if len(text) > LONGEST_NAME:
                raise Refused("text_too_long", f"the {name} has {len(text):,} characters")
            return text
    return None


# --- task, language, licence ------------------------------------------------------------------------------

_WORDS_OF_TASKS = {
    Task.SUMMARIZATION: re.compile(r"summar|\bexplain|\bexplanation"),
    Task.TRANSLATION: re.compile(r"translat"),
    Task.REPAIR: re.compile(r"repair|(?:\b|_)fix|bug"),
    Task.GENERATION: re.compile(r"generat"),
}


def task_named(name: str | None) -> Task | None:
    """The task that a name in any usual wording means ("Code Repair", "bug_fixing"), or None."""
    text = (name or "").lower()
    return next((task for task, words in _WORDS_OF_TASKS.items() if words.search(text)), None)


def _languages(parts: Parts, task: Task, given: Given) -> tuple[str, str | None]:
    """The language, and of a translation the one it is translated to where anybody can tell."""
    own = _own_language(_name_in(parts.own, "language", "lang", "programming_language")) or given.language
    if task is Task.TRANSLATION:
        target = _own_language(_name_in(parts.own, "target_language")) or language_of(parts.solution)
        return own or language_of(parts.information) or OTHER, target
    texts = (
        (parts.information, parts.solution)
        if task is Task.SUMMARIZATION
        else (parts.solution, parts.information)
    )
    guesses = (language_of(text, parts.instruction) for text in texts)
    return own or next((guess for guess in guesses if guess), OTHER), None


@lru_cache(1000)
def _own_language(name: str | None) -> str | None:
    """One of the six, `OTHER` for another programming language, None where none is named ("en" is none)."""
    if name is None:
        return None
    known = language_named(name)
    if known is None and name.lower() != OTHER:
        try:
            find_lexer_class_by_name(name.lower())
        except ClassNotFound:
            return None
    return known or OTHER


def _licence(own: Mapping[str, Any], given: Given) -> str | None:
    """The row's own licence where it names one, else the set's; what is not SPDX is unknown, nothing is guessed."""
    source = own.get("source")
    holders = [source, own] if isinstance(source, dict) else [own]
    said = next((holder["license"] for holder in holders if holder.get("license")), None)
    if said is None:
        return given.license
    return spdx(said) if isinstance(said, str) else None


# --- what is kept besides ---------------------------------------------------------------------------------


def _without(record: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in set(names)}


def _kept(rest: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """What says more than the instance does already, in a form that the database keeps."""
    return {
        printable(name): storable(value)
        for name, value in rest.items()
        if value not in (None, {}, []) and (name not in told or told[name] != value)
    }


def storable(value: Any, levels: int = _MOST_LEVELS) -> Any:
    """A JSON value without what no database keeps: NUL and halves of characters, infinite numbers, endless depth."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict | list) and levels == 0:
        return "more levels than are kept"
    if isinstance(value, dict):
        fields = cast(Mapping[str, Any], value)
        return {printable(name): storable(one, levels - 1) for name, one in fields.items()}
    if isinstance(value, list):
        return [storable(one, levels - 1) for one in cast(list[Any], value)]
    return value

"""Everything that reads foreign text, each with what it may raise over it: one table."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from app.code.difference import changed_lines, edit_distance
from app.code.docstrings import prose, without_docstring
from app.code.fingerprint import differ_in_comments_only, fingerprint
from app.code.functions import functions, plain_comment
from app.code.languages import LANGUAGES
from app.code.names import undefined_names
from app.code.recognising import language_of
from app.code.sentences import first_sentence, sentence_count
from app.code.syntax import parses, syntax_faults, words_of
from app.discrimination import parsing as verdicts
from app.discrimination.mechanical import machine_answers
from app.discrimination.prompts import Judged
from app.discrimination.rulebook import SHIPPED, rules_in
from app.errors import InvalidInput, Unparsable
from app.evidence.checks import Subject, check_instance
from app.generation.mutations import mutate
from app.generation.offline import teach
from app.generation.parsing import parsed
from app.generation.parts import before_body, parts
from app.generation.prompts import KEYS, Material, placeholders
from app.generation.snapshot import hashed_words
from app.ingestion.cleaning import CLEANING_RULES, refused
from app.ingestion.codesearchnet import hostile_name, outcome_of_line
from app.ingestion.finished import Given, finished
from app.ingestion.licences import admits, spdx
from app.ingestion.rows import Code, Row, printable
from app.llm.headers import duration, retry_after
from app.pipeline import Task
from app.prompting.addressed import plain_words, spoken_to_a_model
from app.prompting.answers import held_in, names_any, pieces_of, quotes_any, without_thoughts
from app.prompting.editing import faults, tidied
from app.prompting.exemplars import text_hash
from app.prompting.mending import mended
from app.prompting.prompt import Reply
from app.prompting.reading import read_json
from app.prompting.suspicion import suspicions
from app.prompting.template import asks_for, filled
from app.prompting.untrusted import neutralise, restored
from app.review.guideline import guideline_html
from app.review.judgement import Text
from app.review.warnings import warnings_of
from app.web.formats import code_spans, pretty_json, web_address
from app.web.hidden_characters import mark_hidden
from app.web.highlighting import code_html
from app.web.long_text import folded
from app.web.pagination import key_of

_FOLDED = {"taskname", "instruction", "information", "solution", "overall"}
_RULES = rules_in(SHIPPED, Task.REPAIR)
_PAGE = (*LANGUAGES, "json")  # what pages colour
_ALLOWED = ["MIT", "Apache-2.0"]
_NUMBERS = count()


class Parser(NamedTuple):
    """A function of one text. `refuses`: the exceptions by which it says no."""

    name: str
    read: Callable[[str], object]
    refuses: tuple[type[Exception], ...] = ()


def parsers() -> list[Parser]:
    """All of them."""
    return [*_plain(), *_of_replies(), *_of_languages(), *_of_instances(), *_of_records(), *_of_pages()]


def _plain() -> Iterator[Parser]:
    """Functions of a text alone."""
    for read in (suspicions, plain_words, spoken_to_a_model, neutralise, restored):
        yield Parser(f"prompting.{read.__name__}", read)
    for read in (prose, plain_comment, sentence_count, first_sentence, fingerprint, language_of):
        yield Parser(f"code.{read.__name__}", read)
    yield Parser("code.language_of a request", lambda text: language_of("x = 1", text))
    yield Parser("code.undefined_names", undefined_names, (SyntaxError,))
    yield Parser("code.edit_distance", lambda text: edit_distance(text, _turned(text)))
    yield Parser("code.changed_lines", lambda text: changed_lines(text, _turned(text)))
    yield Parser(
        "code.changed_lines of a paragraph",
        lambda text: changed_lines(_one_line(text), _one_line(_turned(text))),
    )
    yield Parser(
        "code.changed_lines of many",
        lambda text: changed_lines(_many_lines(text), _many_lines(_turned(text))),
    )
    yield Parser("prompting.text_hash", lambda text: text_hash("repair", text, text, text))
    yield Parser("prompting.editing.faults", lambda text: faults(text, placeholders(Task.REPAIR)))
    yield Parser("prompting.editing.tidied", tidied, (ValueError,))
    yield Parser("prompting.template.filled", lambda text: filled(text, {"a": text[:10]}))
    yield Parser("prompting.template.asks_for", lambda text: asks_for(text, "nothing"))
    yield Parser("generation.hashed_words", lambda text: hashed_words([text]))
    yield Parser("ingestion.printable", printable)
    yield Parser("ingestion.spdx", spdx)
    yield Parser("ingestion.admits", lambda text: admits(_ALLOWED, text))
    yield Parser(
        "ingestion.hostile_name", lambda text: [hostile_name(one, text) for one in ("path", "url", "repo")]
    )
    yield Parser("llm.retry_after", lambda text: retry_after({"retry-after": text}))
    yield Parser("llm.duration", duration)
    yield Parser("web.key_of", key_of, (InvalidInput,))


def _turned(text: str) -> str:
    """Another text of the same lines and words, as different as can be: the other way round, and moved."""
    lines = text[len(text) // 3 :].split("\n")
    return (
        "\n".join(" ".join(reversed(line.split(" "))) for line in reversed(lines))
        + "x"
        + text[: len(text) // 3]
    )


def _one_line(text: str) -> str:
    return " ".join(text)


def _many_lines(text: str) -> str:
    """Lines that are often alike: a hundred different ones in turn."""
    return "\n".join(f"{one}{number * 7919 % 101}" for number, one in enumerate(text))


# --- replies of models ------------------------------------------------------------------------------------


def _of_replies() -> Iterator[Parser]:
    no = (Unparsable,)
    for name, around in _REPLIES.items():
        yield Parser(f"prompting.read_json of {name}", partial(_read_json, around), no)
        yield Parser(f"prompting.mended of {name}", partial(_mended, around), no)
    for name, make in _REPLIES.items():
        yield Parser(f"discrimination.opinion of {name}", partial(_opinion, make), no)
        yield Parser(f"generation.parsed of {name}", partial(_parsed, make), no)
    yield Parser("prompting.without_thoughts", lambda text: without_thoughts(text, _FOLDED), no)
    yield Parser("prompting.pieces_of", lambda text: list(pieces_of(text)), no)
    yield Parser("prompting.held_in", lambda text: list(held_in(text, _FOLDED)), no)
    yield Parser("prompting.names_any", lambda text: names_any(text, _FOLDED))
    yield Parser("prompting.quotes_any", lambda text: quotes_any(text, _FOLDED))


def _instance(text: str) -> dict[str, str]:
    return {"task_name": "code repair", "instruction": text, "information": f"{text} ", "solution": text}


_REPLIES: dict[str, Callable[[str], str]] = {
    "a text": str,
    "an object": lambda text: json.dumps(_instance(text) | {"overall": text}),
    "an open object": lambda text: f'{{"instruction": "{text}',
    "a broken object": lambda text: f'{{"instruction": "{text}", "solution": \'a\', "overall": "yes",}}',
    "bare words": lambda text: f'{{"overall": {text}}}',
    "an object before more": lambda text: f'{{"overall": "yes"}}{text}',
}


def _read_json(make: Callable[[str], str], text: str) -> object:
    return read_json(make(text), [*KEYS, "overall"])


def _mended(make: Callable[[str], str], text: str) -> object:
    return mended(make(text), has_an_end=True)


def _opinion(make: Callable[[str], str], text: str) -> object:
    return verdicts.opinion(Reply(make(text), "stop"), _RULES)


def _parsed(make: Callable[[str], str], text: str) -> object:
    return parsed(Reply(make(text), "stop"), Task.REPAIR, "python")


# --- code -------------------------------------------------------------------------------------------------


def _of_languages() -> Iterator[Parser]:
    for language in LANGUAGES:
        for read in (parses, syntax_faults, words_of, without_docstring, parts, before_body):
            yield Parser(f"{read.__name__} of {language}", partial(_second, read, language))
        yield Parser(f"functions of {language}", partial(_functions, language), (SyntaxError,))
        yield Parser(
            f"functions of a file of {language}", partial(_functions_of_file, language), (SyntaxError,)
        )
        yield Parser(f"differ_in_comments_only in {language}", partial(_differ, language))
        yield Parser(f"mutate {language}", partial(_mutate, language))


def _second(read: Callable[[str, str], object], language: str, text: str) -> object:
    return read(text, language)


def _functions(language: str, text: str) -> object:
    return list(functions(text, language))


_FUNCTION = {
    "go": "func a() { b() }",
    "java": "class A { void a() { b(); } }",
    "javascript": "function a() { b(); }",
    "php": "function a() { b(); }",
    "python": "def a():\n    b()\n",
    "ruby": "def a\n  b\nend\n",
}


def _functions_of_file(language: str, text: str) -> object:
    """Half of it the text, the other half functions on one line, or as close as they can stand."""
    before = "<?php " if language == "php" else ""
    one = _FUNCTION[language]
    return list(
        functions(f"{before}{text[len(text) // 2 :]}\n{one * (len(text) // 2 // len(one))}", language)
    )


def _differ(language: str, text: str) -> object:
    return differ_in_comments_only(text, f"{text} ", language)


def _mutate(language: str, text: str) -> object:
    return mutate(text, language, 1)


# --- instances and rows -----------------------------------------------------------------------------------


def _of_instances() -> Iterator[Parser]:
    for language in LANGUAGES:
        yield Parser(f"evidence of {language}", partial(_evidence, language))
        yield Parser(f"mechanical rules of {language}", partial(_machine_answers, language))
    for task in Task:
        yield Parser(f"offline teacher, {task}", partial(_taught, task))
    yield Parser(
        "review.warnings_of", lambda text: warnings_of(Text(text, text, text), None, is_mended=False)
    )


def _evidence(language: str, text: str) -> object:
    return check_instance(Subject(Task.REPAIR, language, None, text, text, None))


def _machine_answers(language: str, text: str) -> object:
    judged = Judged(Task.REPAIR, language, None, text, text, text)
    return machine_answers(judged, {})


def _taught(task: Task, text: str) -> object:
    material = Material(task, "python", f"def a():\n    {text}\n", text, "", None, None, 0)
    return teach(material, 1)


# --- records of files -------------------------------------------------------------------------------------


def _of_records() -> Iterator[Parser]:
    for rule in CLEANING_RULES:
        yield Parser(f"cleaning: {rule.name}", partial(_rule, rule.test))
    yield Parser("cleaning: all of them", lambda text: refused(Row("a", 1, _row(text)), CLEANING_RULES))
    yield Parser("codesearchnet: a line", lambda text: outcome_of_line(text.encode(), "a", 1, None))
    yield Parser("codesearchnet: texts", _codesearchnet)
    for shape, record in _RECORDS.items():
        yield Parser(f"import: {shape}", partial(_finished, shape, record))


def _row(text: str, language: str = "python") -> Code:
    return Code(language, "a", text, text, "", "", "", "", None)


def _rule(test: Callable[[Code], str | None], text: str) -> object:
    return [test(_row(text, language)) for language in ("python", "java")]


def _codesearchnet(text: str) -> object:
    fields = dict.fromkeys(("code", "docstring", "func_name", "path", "license"), text) | {"language": "java"}
    return outcome_of_line(json.dumps(fields).encode(), "a", 1, None)


_RECORDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "alpaca": lambda text: {
        "instruction": text,
        "input": text,
        "output": text,
        "license": text,
        "other": {text[:9]: text},
    },
    "codeocean": lambda text: _instance(text) | {"task": text[:200], "language": text[:200]},
    "argilla": lambda text: {
        "fields": {"instruction": text, "input": text},
        "suggestions": {"solution": {"value": text}},
        "metadata": {"task": "repair", "language": "java"},
    },
}


def _finished(shape: str, record: Callable[[str], dict[str, Any]], text: str) -> object:
    return finished(record(text), "a", 1, shape, Given(), _ALLOWED)


# --- pages ------------------------------------------------------------------------------------------------


def _of_pages() -> Iterator[Parser]:
    for language in _PAGE:
        yield Parser(f"web.code_html of {language}", partial(_coloured, language))
    yield Parser("web.code_html without colours", partial(_coloured, None))
    yield Parser("web.mark_hidden", lambda text: mark_hidden(f"\u202e{text}"))
    yield Parser("web.mark_hidden of escaped text", lambda text: mark_hidden(f"\u202e{folded(text)}"))
    for read in (folded, code_spans, web_address, pretty_json):
        yield Parser(f"web.{read.__name__}", read)
    yield Parser("review.guideline_html", guideline_html)


def _coloured(language: str | None, text: str) -> object:
    return code_html(f"{text} {next(_NUMBERS)}", language)  # another text each time: pages keep some

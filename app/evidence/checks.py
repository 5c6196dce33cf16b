"""The mechanical checks of one instance that need nothing but its text. Pure."""

import re
from enum import StrEnum
from typing import NamedTuple

from app.code.languages import LANGUAGES
from app.code.names import undefined_names
from app.code.syntax import TooTangled, syntax_faults
from app.pipeline import Finding, Task

_WORD = re.compile(r"\w+")


class Kind(StrEnum):
    PARSES = "parses"
    NAMES_RESOLVE = "names_resolve"
    EXACT_DUPLICATE = "exact_duplicate"
    LICENCE_KNOWN = "licence_known"
    RUNS = "runs"
    NEAR_DUPLICATE = "near_duplicate"
    CONTAMINATION = "contamination"
    SECRETS = "secrets"


NOT_RUN = (Kind.RUNS, Kind.NEAR_DUPLICATE, Kind.CONTAMINATION, Kind.SECRETS)


class Found(NamedTuple):
    """The result of one check."""

    kind: Kind
    result: Finding
    detail: str


class Subject(NamedTuple):
    """What the checks look at: one revision of an instance."""

    task: Task
    language: str
    target_language: str | None  # of a translation
    information: str
    solution: str
    license: str | None  # of the snippet, SPDX


def check_instance(subject: Subject) -> list[Found]:
    """Every check of the text itself, and a `not_checked` for each kind that is not run here."""
    not_run = [Found(kind, Finding.NOT_CHECKED, "this check is not run yet") for kind in NOT_RUN]
    return [_parses(subject), _names_resolve(subject), _licence_known(subject.license), *not_run]


def duplicate_finding(other_instance_id: int | None) -> Found:
    """Whether the same text stands in the project already; `other_instance_id` is where."""
    if other_instance_id is None:
        return Found(Kind.EXACT_DUPLICATE, Finding.PASS, "no other instance of the project has this text")
    detail = f"instance {other_instance_id} has the same instruction, information and solution"
    return Found(Kind.EXACT_DUPLICATE, Finding.FAIL, detail)


def _code_of(subject: Subject) -> list[tuple[str, str, str]]:
    """(field, code, language) of what must be code in this task. What a repair starts from may be broken."""
    information = ("information", subject.information, subject.language)
    match subject.task:
        case Task.SUMMARIZATION:
            return [information]
        case Task.GENERATION | Task.REPAIR:
            return [("solution", subject.solution, subject.language)]
        case Task.TRANSLATION:
            return [information, ("solution", subject.solution, subject.target_language or "")]


def _parses(subject: Subject) -> Found:
    titles: list[str] = []
    for field, code, language in _code_of(subject):
        if language not in LANGUAGES:
            return Found(Kind.PARSES, Finding.NOT_CHECKED, f"the language of the {field} is not known")
        if not code.strip():
            return Found(Kind.PARSES, Finding.FAIL, f"the {field} is empty")
        try:
            faults = syntax_faults(code, language)
        except TooTangled as error:
            return Found(Kind.PARSES, Finding.NOT_CHECKED, f"the {field} is {error.msg}")
        if faults:
            detail = f"{field}, line {faults[0].line}: {faults[0].message}"
            return Found(Kind.PARSES, Finding.FAIL, detail)
        titles.append(f"the {field} is {LANGUAGES[language].title}")
    return Found(Kind.PARSES, Finding.PASS, " and ".join(titles))


def _names_resolve(subject: Subject) -> Found:
    field, code, language = _code_of(subject)[-1]
    if subject.task is Task.SUMMARIZATION:
        return Found(Kind.NAMES_RESOLVE, Finding.NOT_CHECKED, "the solution is prose")
    if language != "python":
        return Found(Kind.NAMES_RESOLVE, Finding.NOT_CHECKED, "only Python's names are looked up")
    try:
        unknown = undefined_names(code)
    except SyntaxError:
        return Found(Kind.NAMES_RESOLVE, Finding.NOT_CHECKED, f"the {field} does not parse")
    given = set(_WORD.findall(subject.information))
    missing = [name for name in unknown if name not in given]
    if missing:
        detail = f"neither defined, imported nor given in the information: {', '.join(missing[:10])}"
        return Found(Kind.NAMES_RESOLVE, Finding.FAIL, detail)
    detail = f"given in the information: {', '.join(unknown[:10])}" if unknown else "every name is defined"
    return Found(Kind.NAMES_RESOLVE, Finding.PASS, detail)


def _licence_known(license_: str | None) -> Found:
    if license_ is None:
        return Found(Kind.LICENCE_KNOWN, Finding.FAIL, "the source names no licence")
    return Found(Kind.LICENCE_KNOWN, Finding.PASS, license_)

"""The rules that a machine answers, from the text and from what the evidence found. Pure.

They hold for every judge. No text in the instance can argue with them.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from app.code.fingerprint import normalised
from app.code.languages import LANGUAGES
from app.code.sentences import sentence_count
from app.discrimination.opinion import NOT_CHECKED, Answer, Said
from app.discrimination.prompts import Judged
from app.pipeline import Finding

_LEAST_GIVEN_AWAY = 20  # characters: shorter solutions occur in other text by chance
_NOT_A_REQUEST = re.compile(r"\A\s*(#|//|/\*|\"\"\"|'''|```|<!--|=begin)")
_GO = re.compile(r"\bGo\b")  # a verb, too
_NAMES = {
    language.name: re.compile(
        rf"\b(?:{'|'.join(map(re.escape, (language.title, *language.aliases)))})(?![\w+#-])", re.IGNORECASE
    )
    for language in LANGUAGES.values()
}
_ANSWER_OF = {
    Finding.PASS: Answer.YES,
    Finding.FAIL: Answer.NO,
    Finding.NOT_CHECKED: Answer.NOT_CHECKED,
}


class Found(NamedTuple):
    """The result of one check, with what it says about it."""

    result: Finding
    detail: str


Evidence = Mapping[str, Found]  # by kind


def machine_answers(judged: Judged, evidence: Evidence) -> dict[str, Said]:
    """Check -> answer, for every mechanical check and every kind of evidence; shipped rules are called as theirs."""
    found = {kind: Said(_ANSWER_OF[one.result], one.detail) for kind, one in evidence.items()}
    return found | {name: check(judged, evidence) for name, check in _CHECKS.items()}


def _language_named(judged: Judged, _: Evidence) -> Said:
    languages = [name for name in (judged.language, judged.target_language) if name is not None]
    if any(name not in LANGUAGES for name in languages):
        return Said(Answer.NOT_CHECKED, "its language is not known")
    unnamed = [name for name in languages if not _names(judged.instruction, name)]
    if not unnamed:
        return Said(Answer.YES, "")
    titles = " and ".join(LANGUAGES[name].title for name in unnamed)
    return Said(Answer.NO, f"the instruction does not name {titles}")


def _names(text: str, language: str) -> bool:
    if language == "go":
        return _GO.search(text) is not None or "golang" in text.lower()
    return _NAMES[language].search(text) is not None


def _short_instruction(judged: Judged, _: Evidence) -> Said:
    if _NOT_A_REQUEST.match(judged.instruction):
        return Said(Answer.NO, "the instruction is a comment or code")
    sentences = sentence_count(judged.instruction)
    words = f"{sentences} sentence{'' if sentences == 1 else 's'}"
    return Said(Answer.YES if 1 <= sentences <= 2 else Answer.NO, words)


def _not_given_away(judged: Judged, _: Evidence) -> Said:
    information, solution = normalised(judged.information), normalised(judged.solution)
    if information == solution:
        return Said(Answer.NO, "the information is the solution")
    if len(solution) >= _LEAST_GIVEN_AWAY and solution in information:
        return Said(Answer.NO, "the information contains the solution")
    return Said(Answer.YES, "")


def _code_only(judged: Judged, evidence: Evidence) -> Said:
    if judged.solution.lstrip().startswith("```"):
        return Said(Answer.NO, "the solution is fenced")
    parses = _from_evidence("parses")(judged, evidence)
    return parses if parses.answer is Answer.YES else NOT_CHECKED


def _from_evidence(kind: str) -> Callable[[Judged, Evidence], Said]:
    def check(_: Judged, evidence: Evidence) -> Said:
        found = evidence.get(kind)
        return NOT_CHECKED if found is None else Said(_ANSWER_OF[found.result], found.detail)

    return check


_CHECKS: dict[str, Callable[[Judged, Evidence], Said]] = {
    "language_named": _language_named,
    "short_instruction": _short_instruction,
    "code_parses": _from_evidence("parses"),
    "not_given_away": _not_given_away,
    "code_only": _code_only,
    "imports_present": _from_evidence("names_resolve"),
}

CHECKS = tuple(_CHECKS)
EVIDENCE = (
    "parses",
    "names_resolve",
    "exact_duplicate",
    "licence_known",
    "runs",
    "near_duplicate",
    "contamination",
    "secrets",
)
"""Kinds of evidence that a rule can rest on; what is not gathered yet is answered “not checked”."""

"""Bugs that programmers make, put into code one at a time. Pure.

An operator changes one place of the code where the syntax tree allows it; everything else keeps its text.
Operators as in mutation testing (Offutt et al. 1996): relational, arithmetic, logical and constant replacement,
and, where none of these applies, another return value or a statement less.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

from app.code.syntax import parses
from app.generation.parts import Part, parts

# Each becomes its opposite: a moved boundary (< for <=) often changes nothing that anybody could see.
_COMPARISONS = {
    "==": "!=", "!=": "==", "===": "!==", "!==": "===", "<": ">=", ">=": "<", ">": "<=", "<=": ">",
}  # fmt: skip
_ARITHMETIC = {"+": "-", "-": "+", "*": "+", "+=": "-=", "-=": "+="}
_LOGICAL = {"and": "or", "or": "and", "&&": "||", "||": "&&"}
_TRUTHS = {"True": "False", "False": "True", "true": "false", "false": "true"}
_NOTHING = {"go": "nil", "java": "null", "javascript": "null", "php": "null", "python": "None", "ruby": "nil"}
_TESTS = {"in": "not in", "not in": "in", "is": "is not", "is not": "is"}

_OPERATOR_PLACES = ("binary", "comparison", "boolean", "augmented", "operator_assignment")
_WHOLE_NUMBERS = {"integer", "int_literal", "decimal_integer_literal", "number"}
_BODIES = {"block", "statement_block", "statement_list", "compound_statement", "body_statement"}
_STATEMENTS = {"expression_statement", "assignment_statement", "assignment", "operator_assignment", "call"}

_LONGEST_WORD = 40  # bytes; what is longer is no operator, number or name of nothing
_RETURN_NOTHING = "return nothing"
_DROP_A_STATEMENT = "drop a statement"


class Mutant(NamedTuple):
    """Code with one bug."""

    code: str
    operator: str  # what was done: "swap a comparison: < became <="


class _Change(NamedTuple):
    start: int
    end: int
    text: str
    operator: str


def mutate(code: str, language: str, seed: int) -> Mutant | None:
    """`code` with one bug that still parses; None where no operator applies.

    The operator is drawn first, then its place, so that a frequent word does not crowd the others out.
    """
    source = code.encode("utf-8", "replace")
    changes: dict[str, list[_Change]] = {}
    for part in parts(code, language):
        beginning = source[part.start : min(part.end, part.start + _LONGEST_WORD)].decode("utf-8", "replace")
        for change in _changes_of(part, beginning, language):
            changes.setdefault(change.operator, []).append(change)
    must_parse = parses(code, language)
    for change in _in_drawn_order(changes, random.Random(seed)):
        mutant = (source[: change.start] + change.text.encode() + source[change.end :]).decode()
        if parses(mutant, language) or not must_parse:
            return Mutant(mutant, _in_words(source, change))
    return None


def _in_drawn_order(changes: dict[str, list[_Change]], draw: random.Random) -> Iterator[_Change]:
    """Up to three places for each operator; those that rewrite a whole value or statement come last."""
    operators = draw.sample(sorted(changes), len(changes))
    for operator in sorted(operators, key=lambda operator: operator in (_RETURN_NOTHING, _DROP_A_STATEMENT)):
        yield from draw.sample(changes[operator], min(3, len(changes[operator])))


def _changes_of(part: Part, text: str, language: str) -> Iterator[_Change]:
    for becomes, operator in _replacements(part, text, language):
        if becomes != text:
            yield _Change(part.start, part.end, becomes, operator)


def _replacements(part: Part, text: str, language: str) -> Iterator[tuple[str, str]]:
    """What may stand in the place of `part`, and the operator that puts it there."""
    if part.parent.startswith(_OPERATOR_PLACES) and not part.is_named:
        yield from _other_operators(text)
    if part.parent == "comparison_operator" and text in _TESTS:
        yield _TESTS[text], "turn a test round"
    if text in ("not", "!") and (part.parent.startswith("unary") or part.parent == "not_operator"):
        yield "", "drop a negation"
    if text in _TRUTHS and part.kind.lower() in ("true", "false", "boolean"):
        yield _TRUTHS[text], "swap a truth value"
    if part.kind in _WHOLE_NUMBERS and text.isascii() and text.isdigit() and len(text) < 18:
        yield str(int(text) + 1), "move a number by one"
    if part.parent in ("return_statement", "return") and part.is_named:
        yield _NOTHING[language], _RETURN_NOTHING
    if part.kind in _STATEMENTS and part.parent in _BODIES and "string" not in part.first:
        yield "pass" if language == "python" else "", _DROP_A_STATEMENT


def _other_operators(text: str) -> Iterator[tuple[str, str]]:
    if text in _COMPARISONS:
        yield _COMPARISONS[text], "swap a comparison"
    if text in _ARITHMETIC:
        yield _ARITHMETIC[text], "swap an arithmetic operator"
    if text in _LOGICAL:
        yield _LOGICAL[text], "swap a logical operator"


def _in_words(source: bytes, change: _Change) -> str:
    was = " ".join(source[change.start : change.end].decode().split())[:80]
    return f"{change.operator}: {was} became {change.text or 'nothing'}"

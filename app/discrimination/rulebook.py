"""The rules of a project as one text with versions: what stands in it, and how a person changes it. Pure.

A book holds every rule in order, retired ones too; of it the rule set of each task is made, which runs freeze.
"""

import json
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from app.code.languages import LANGUAGES
from app.discrimination.mechanical import CHECKS, EVIDENCE
from app.discrimination.rubric import RULES, CheckedBy, Rule, as_data, rule_from, text_of
from app.discrimination.rubric import VERSION as SHIPPED_VERSION
from app.errors import InvalidInput, NotFound
from app.pipeline import Task
from app.prompting.template import Template, template_of

NAME = "rules"
MOST_RULES = 60
MOST_CHARACTERS = 600

_ID = re.compile(r"[a-z][a-z0-9_]{1,39}")
_TAKEN = ("overall", "new", "compare")  # the judge's own last word, and addresses of pages
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff⟪⟫]")


class Entry(NamedTuple):
    """A rule in its place. A retired one is neither asked nor counted; it can be taken back."""

    rule: Rule
    retired: bool = False


Rulebook = tuple[Entry, ...]

SHIPPED: Rulebook = tuple(Entry(rule) for rule in RULES)


def book_text(book: Rulebook) -> str:
    """Canonical JSON: the same book has the same text."""
    entries = [as_data(one.rule) | ({"retired": True} if one.retired else {}) for one in book]
    return json.dumps(entries, ensure_ascii=False, indent=1, sort_keys=True)


def book_of(text: str) -> Rulebook:
    """The book of which `text` was made."""
    return tuple(Entry(rule_from(data), bool(data.get("retired"))) for data in json.loads(text))


SHIPPED_BOOK = template_of(NAME, SHIPPED_VERSION, book_text(SHIPPED))


def sets_of(book: Rulebook, version: str) -> list[Template]:
    """The rule set of each task, as runs freeze it and verdicts point at it."""
    return [template_of(f"rules/{task}", version, text_of(rules_in(book, task))) for task in Task]


def rules_in(book: Rulebook, task: Task) -> tuple[Rule, ...]:
    """Those that are asked about a task, in order."""
    return tuple(one.rule for one in book if task in one.rule.tasks and not one.retired)


def entry_of(book: Rulebook, rule: str) -> Entry:
    """Raises NotFound."""
    found = next((one for one in book if one.rule.rule == rule), None)
    if found is None:
        raise NotFound(f"there is no rule {rule[:40]} in this version")
    return found


def weight_of(entry: Entry) -> str:
    """How much a rule counts, as replays from stored answers name it."""
    if entry.retired:
        return "retired"
    return "required" if entry.rule.required else "advisory"


def in_words(book: Rulebook) -> str:
    """A book as people compare it: a paragraph for each rule."""
    return "\n\n".join(_words_of(one) for one in book)


def _words_of(entry: Entry) -> str:
    rule = entry.rule
    facts = [
        "required" if rule.required else "advisory",
        f"checked by {rule.checked_by}"
        + (f" ({rule.checked_as})" if rule.checked_by is not CheckedBy.MODEL else ""),
        *(["may not apply"] if rule.may_not_apply else []),
        *([f"only {LANGUAGES[rule.language].title}"] if rule.language else []),
    ]
    head = f"{rule.rule}, version {rule.version}{', retired' if entry.retired else ''}"
    return "\n".join((head, rule.text, "; ".join(facts), f"tasks: {', '.join(rule.tasks)}"))


# --- changing it ------------------------------------------------------------------------------------------


def with_rule(book: Rulebook, rule: Rule) -> Rulebook:
    """The book with `rule` in the place of the one of its name, else at its end."""
    if all(one.rule.rule != rule.rule for one in book):
        return (*book, Entry(rule))
    return tuple(one._replace(rule=rule) if one.rule.rule == rule.rule else one for one in book)


def with_retired(book: Rulebook, rule: str, *, retired: bool) -> Rulebook:
    """Raises NotFound."""
    entry_of(book, rule)
    return tuple(one._replace(retired=retired) if one.rule.rule == rule else one for one in book)


def moved(book: Rulebook, rule: str, task: Task, step: int) -> Rulebook:
    """`rule` changes places with the next one (step 1) or the one before (step -1) of the same task.

    At the end it stays where it is. Raises NotFound.
    """
    entry_of(book, rule)
    places = [place for place, one in enumerate(book) if task in one.rule.tasks and not one.retired]
    names = [book[place].rule.rule for place in places]
    if rule not in names:
        return book
    at = names.index(rule)
    if not 0 <= at + step < len(places):
        return book
    mine, other = places[at], places[at + step]
    changed = list(book)
    changed[mine], changed[other] = changed[other], changed[mine]
    return tuple(changed)


def numbered(rule: Rule, books: Sequence[Rulebook]) -> Rule:
    """`rule` with its number: that of the same rule in `books`, else one more than the highest of its name.

    So a name and a number mean one text, whichever version is in force.
    """
    namesakes = [one.rule for book in books for one in book if one.rule.rule == rule.rule]
    same = next((one for one in namesakes if one._replace(version=rule.version) == rule), None)
    return same or rule._replace(version=1 + max((one.version for one in namesakes), default=0))


# --- what a book may hold ---------------------------------------------------------------------------------


def refuse_faults(book: Rulebook) -> None:
    """Raises InvalidInput, naming the rule."""
    if len(book) > MOST_RULES:
        raise InvalidInput(f"a project has at most {MOST_RULES} rules, retired ones included", "rules")
    names = [one.rule.rule for one in book]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"the rule {twice} stands there twice", "rule")
    for one in book:
        for field, check in _CHECKS.items():
            problem = check(one.rule)
            if problem:
                raise InvalidInput(f"{one.rule.rule[:40]}: {problem}", field)
    for task in Task:
        if not any(rule.required and rule.language is None for rule in rules_in(book, task)):
            raise InvalidInput(
                f"{task} would have no required rule for every language, and every instance would pass",
                "required",
            )


def _name_problem(rule: Rule) -> str | None:
    if not _ID.fullmatch(rule.rule):
        return "a rule's name has 2 to 40 small letters, digits and underscores and begins with a letter"
    return f"no rule may be called {rule.rule}" if rule.rule in _TAKEN else None


def _text_problem(rule: Rule) -> str | None:
    if not 0 < len(rule.text.strip()) <= MOST_CHARACTERS:
        return f"a rule is a sentence of 1 to {MOST_CHARACTERS} characters; this one has {len(rule.text):,}"
    found = _UNSEEN.search(rule.text)
    return f"its text holds U+{ord(found[0]):04X}, which no rule may" if found else None


def _tasks_problem(rule: Rule) -> str | None:
    return None if rule.tasks else "it is about no task"


def _language_problem(rule: Rule) -> str | None:
    if rule.language is None or rule.language in LANGUAGES:
        return None
    return f"“{rule.language[:40]}” is none of {', '.join(LANGUAGES)}"


def _check_problem(rule: Rule) -> str | None:
    if rule.checked_by is CheckedBy.MODEL:
        return "a rule that only a model answers names no check" if rule.check else None
    if rule.checked_as in (*CHECKS, *EVIDENCE):
        return None
    close = get_close_matches(rule.checked_as, (*CHECKS, *EVIDENCE), 1)
    meant = f"did you mean {close[0]}?" if close else f"there are {', '.join((*CHECKS, *EVIDENCE))}"
    return f"there is no check “{rule.checked_as[:40]}”; {meant}"


def _applies_problem(rule: Rule) -> str | None:
    is_asked = rule.checked_by is not CheckedBy.MACHINE
    return None if is_asked or not rule.may_not_apply else "only a model can say that a rule does not apply"


_CHECKS: dict[str, Callable[[Rule], str | None]] = {
    "rule": _name_problem,
    "text": _text_problem,
    "tasks": _tasks_problem,
    "language": _language_problem,
    "check": _check_problem,
    "may_not_apply": _applies_problem,
}

"""What a person may write in the place of a shipped prompt. Pure."""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Literal, NamedTuple

from app.prompting.template import BETWEEN, PLACEHOLDER
from app.prompting.untrusted import HOW_TO_READ_IT

MOST_CHARACTERS = 20_000

_DIVIDER = re.compile(r"^---[ \t]*$", re.MULTILINE)
_FENCE = re.compile("[⟪⟫]")
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


class Placeholder(NamedTuple):
    """A name in curly brackets, and what takes its place."""

    name: str
    what: str
    half: Literal["system", "user"]
    required: bool = True


class Fault(NamedTuple):
    """Something that a template may not have; `line` counts from 1, None where no line has it."""

    line: int | None
    message: str

    @property
    def words(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"


def plain_newlines(text: str) -> str:
    """As forms send it, with one kind of line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def tidied(text: str) -> str:
    """A text without faults as it is kept: nothing around its halves, and one divider between them."""
    system, user = _DIVIDER.split(plain_newlines(text))
    return f"{system.strip()}{BETWEEN}{user.strip()}"


def faults(text: str, placeholders: Sequence[Placeholder]) -> list[Fault]:
    """All that is wrong with a text that would be a template with these placeholders, by line."""
    text = plain_newlines(text)
    if len(text) > MOST_CHARACTERS:
        return [
            Fault(None, f"a prompt has at most {MOST_CHARACTERS:,} characters; this one has {len(text):,}")
        ]
    found = [
        Fault(_line(text, one.start()), "this character is no text that could be kept")
        for one in _NO_TEXT.finditer(text)
    ]
    dividers = [one.start() for one in _DIVIDER.finditer(text)]
    if len(dividers) != 1:
        return [*found, *_divided_wrongly(text, dividers)]
    found += _empty_halves(text)
    found += _placeholder_faults(text, dividers[0], placeholders)
    found += _unsafe(text, dividers[0])
    return sorted(found, key=lambda fault: (fault.line is None, fault.line or 0))


def _divided_wrongly(text: str, dividers: Sequence[int]) -> Iterator[Fault]:
    if not dividers:
        yield Fault(None, "a line --- is missing: above it stands the system message, below it the question")
    for place in dividers[1:]:
        yield Fault(_line(text, place), "this is a second line ---; there may be one")


def _empty_halves(text: str) -> Iterator[Fault]:
    for half, name in zip(_DIVIDER.split(text), ("the system message", "the question"), strict=True):
        if not half.strip():
            yield Fault(None, f"{name} is empty")


def _placeholder_faults(text: str, divider: int, placeholders: Sequence[Placeholder]) -> Iterator[Fault]:
    known = {one.name: one for one in placeholders}
    seen: set[str] = set()
    for found in PLACEHOLDER.finditer(text):
        name, line = found[2], _line(text, found.start())
        if name is None:  # written twice: not a placeholder
            continue
        if name not in known:
            yield Fault(line, _unknown(name, list(known)))
            continue
        if name in seen:
            yield Fault(line, f"{{{name}}} stands here a second time; it may stand once")
        elif known[name].half != ("system" if found.start() < divider else "user"):
            yield Fault(line, _misplaced(known[name]))
        seen.add(name)
    for one in placeholders:
        if one.required and one.name not in seen:
            yield Fault(None, f"{{{one.name}}} is missing: {one.what}")


def _unknown(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, 1)
    meant = (
        f"did you mean {{{close[0]}}}?" if close else f"known are {', '.join(f'{{{one}}}' for one in known)}"
    )
    return f"{{{name}}} is no placeholder of this prompt; {meant} (for the text itself write {{{{{name}}}}})"


def _misplaced(one: Placeholder) -> str:
    if one.half == "user":
        return f"{{{one.name}}} belongs below the line ---: strangers' text stays out of the system message"
    return f"{{{one.name}}} belongs above the line ---, into the system message"


def _unsafe(text: str, divider: int) -> Iterator[Fault]:
    """What would let a stranger's text out of its fence."""
    if HOW_TO_READ_IT not in text[:divider]:
        yield Fault(
            None,
            "the system message must say, in a line of its own and word for word, how to read what strangers wrote: "
            f"“{HOW_TO_READ_IT}”",
        )
    ours = " " * len(HOW_TO_READ_IT)
    for found in _FENCE.finditer(text.replace(HOW_TO_READ_IT, ours)):
        yield Fault(
            _line(text, found.start()), f"{found[0]} marks our fences and may not stand anywhere else"
        )


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1

"""What an edit changed: how far two texts are apart, and the lines and words that differ. Pure."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

_WORD = re.compile(r"\w+|\s+|[^\w\s]")


def edit_distance(old: str, new: str) -> int:
    """Levenshtein distance in characters."""
    return Levenshtein.distance(old, new)


class Word(NamedTuple):
    text: str
    changed: bool


class Line(NamedTuple):
    """One line of a diff. `sign` is "+", "-" or " "; only changed lines have changed words."""

    sign: str
    words: tuple[Word, ...]


def changed_lines(old: str, new: str) -> list[Line]:
    """Every line of both texts in reading order, removed before added, with the words that changed marked."""
    before, after = old.split("\n"), new.split("\n")
    lines: list[Line] = []
    for kind, i, i_end, j, j_end in _blocks(before, after):
        if kind == "equal":
            lines += [Line(" ", (Word(text, False),)) for text in before[i:i_end]]
        else:
            lines += _replaced(before[i:i_end], after[j:j_end])
    return lines


def _replaced(old: Sequence[str], new: Sequence[str]) -> list[Line]:
    removed: list[Line] = []
    added: list[Line] = []
    for was, now in zip_longest(old, new):
        if was is None or now is None:
            removed += [Line("-", (Word(was, False),))] if was is not None else []
            added += [Line("+", (Word(now, False),))] if now is not None else []
            continue
        was_words, now_words = _changed_words(was, now)
        removed.append(Line("-", was_words))
        added.append(Line("+", now_words))
    return removed + added


def _changed_words(old: str, new: str) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    before, after = _words(old), _words(new)
    blocks = _blocks(before, after)
    return (
        tuple(
            Word("".join(before[i:i_end]), kind != "equal") for kind, i, i_end, _, _ in blocks if i < i_end
        ),
        tuple(Word("".join(after[j:j_end]), kind != "equal") for kind, _, _, j, j_end in blocks if j < j_end),
    )


def _words(line: str) -> list[str]:
    return _WORD.findall(line)


def _blocks(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """(equal or not, from and to in `old`, from and to in `new`), in order.

    What both begin and end with is set apart first: there is the most of it, and it is found in linear time.
    Between, what is frequent in a long text is no anchor, or a text of nothing but braces would take minutes.
    """
    start, end = _common_ends(old, new)
    between = SequenceMatcher(
        a=old[start : len(old) - end], b=new[start : len(new) - end], autojunk=True
    ).get_opcodes()
    blocks = [("equal", 0, start, 0, start)] if start else []
    blocks += [
        (kind, i + start, i_end + start, j + start, j_end + start) for kind, i, i_end, j, j_end in between
    ]
    if end:
        blocks.append(("equal", len(old) - end, len(old), len(new) - end, len(new)))
    return blocks


def _common_ends(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many items both begin with, and of the rest how many both end with."""
    shorter = min(len(old), len(new))
    start = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    left = shorter - start
    return start, next((at for at in range(left) if old[-1 - at] != new[-1 - at]), left)

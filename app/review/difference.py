"""What an edit changed: how far two texts are apart, and the lines and words that differ. Pure."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import NamedTuple

_MOST_COMPARED = 20_000  # characters of a line before and after; words are compared in quadratic time


def edit_distance(old: str, new: str) -> int:
    """Levenshtein distance in characters.

    Bit-parallel (Hyyrö 2003, after Myers 1999): one column of the table is two whole numbers, so a text of
    some thousand characters takes milliseconds.
    """
    old, new = _without_common_ends(old, new)
    if not old or not new:
        return len(old) + len(new)
    at: dict[str, int] = {}
    for row, character in enumerate(old):
        at[character] = at.get(character, 0) | 1 << row
    full, last = (1 << len(old)) - 1, 1 << (len(old) - 1)
    rises, falls, distance = full, 0, len(old)
    for character in new:
        here = at.get(character, 0)
        same = (((here & rises) + rises) ^ rises) | here | falls
        right = falls | ~(same | rises) & full
        left = rises & same
        distance += bool(right & last) - bool(left & last)
        right = right << 1 & full | 1
        rises = left << 1 & full | ~(same | right) & full
        falls = right & same
    return distance


def _without_common_ends(old: str, new: str) -> tuple[str, str]:
    start = 0
    shorter = min(len(old), len(new))
    while start < shorter and old[start] == new[start]:
        start += 1
    end = 0
    while end < shorter - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return old[start : len(old) - end], new[start : len(new) - end]


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
    for kind, i, i_end, j, j_end in SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
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
    if len(old) + len(new) > _MOST_COMPARED:
        return (Word(old, True),), (Word(new, True),)
    before, after = _words(old), _words(new)
    blocks = SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes()
    return (
        tuple(
            Word("".join(before[i:i_end]), kind != "equal") for kind, i, i_end, _, _ in blocks if i < i_end
        ),
        tuple(Word("".join(after[j:j_end]), kind != "equal") for kind, _, _, j, j_end in blocks if j < j_end),
    )


def _words(line: str) -> list[str]:
    return re.findall(r"\w+|\s+|[^\w\s]", line)

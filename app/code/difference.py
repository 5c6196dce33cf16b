"""What an edit changed: how far two texts are apart, and the lines and words that differ. Pure."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest
from typing import NamedTuple

from rapidfuzz.distance import Indel, Levenshtein

_WORD = re.compile(r"\w+|\s+|[^\w\s]")
# To compare takes the square of what is compared at once; of longer texts piece is compared with piece.
_MOST_CHARACTERS = 5_000
_MOST_ITEMS = 2_000  # lines, or words of a line


def edit_distance(old: str, new: str) -> int:
    """Levenshtein distance in characters; of texts with very much between their first and their last difference a
    little more than that."""
    start, end = _common_ends(old, new)
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    return sum(
        Levenshtein.distance(old[i:i_end], new[j:j_end])
        for i, i_end, j, j_end in _pieces(old, new, _MOST_CHARACTERS)
    )


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
    for is_equal, i, i_end, j, j_end in _blocks(before, after):
        if is_equal:
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
            Word("".join(before[i:i_end]), not is_equal) for is_equal, i, i_end, _, _ in blocks if i < i_end
        ),
        tuple(
            Word("".join(after[j:j_end]), not is_equal) for is_equal, _, _, j, j_end in blocks if j < j_end
        ),
    )


def _words(line: str) -> list[str]:
    return _WORD.findall(line)


class _Block(NamedTuple):
    """What is equal in two sequences, or stands in the place of each other: from and to in both."""

    is_equal: bool
    i: int
    i_end: int
    j: int
    j_end: int


def _blocks(old: Sequence[str], new: Sequence[str]) -> list[_Block]:
    """All of both, in order."""
    blocks: list[_Block] = []
    i = j = 0
    for i_next, j_next, length in (*_matches(old, new), (len(old), len(new), 0)):
        if i < i_next or j < j_next:
            blocks.append(_Block(False, i, i_next, j, j_next))
        i, j = i_next + length, j_next + length
        if length:
            blocks.append(_Block(True, i_next, i, j_next, j))
    return blocks


def _matches(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """(place in `old`, place in `new`, length) of what both have: the longest common subsequence.

    What both begin and end with is set apart first: there is the most of it, and it is found in linear time.
    """
    start, end = _common_ends(old, new)
    yield 0, 0, start
    between = old[start : len(old) - end], new[start : len(new) - end]
    for i, i_end, j, j_end in _pieces(*between, _MOST_ITEMS):
        edits = Indel.editops(between[0][i:i_end], between[1][j:j_end])
        for match in edits.as_matching_blocks():
            yield start + i + match.a, start + j + match.b, match.size
    yield len(old) - end, len(new) - end, end


def _pieces(old: Sequence[str], new: Sequence[str], most: int) -> Iterator[tuple[int, int, int, int]]:
    """From and to in both of pieces that are compared with each other: the nth of as many on either side."""
    count = max(1, -(-max(len(old), len(new)) // most))
    places = [(len(old) * number // count, len(new) * number // count) for number in range(count + 1)]
    for (i, j), (i_end, j_end) in pairwise(places):
        yield i, i_end, j, j_end


def _common_ends(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many items both begin with, and of the rest how many both end with."""
    shorter = min(len(old), len(new))
    start = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    left = shorter - start
    return start, next((at for at in range(left) if old[-1 - at] != new[-1 - at]), left)

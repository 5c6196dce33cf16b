"""Which cases of the example bank a run may draw from: pinned ones, then people's, then a judge's, far apart. Pure."""

import re
import zlib
from collections.abc import Iterable, Sequence
from enum import IntEnum
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np

from app.geometry.kcenter import Matrix, farthest_first

CASES_OF_A_KIND = 100  # of one task, language and side
_WIDTH = 512  # of the hashed words; a little more than a text has different ones
_WORD = re.compile(r"\w+|[^\w\s]")


class Origin(IntEnum):
    """Whose a case is, in the order in which cases come in."""

    PINNED = 0
    PERSON = 1
    JUDGE = 2
    SHIPPED = 3


class Candidate(NamedTuple):
    """A case that may come in."""

    exemplar_id: int
    task: str
    language: str
    is_good: bool
    origin: Origin
    text: str


def chosen(candidates: Iterable[Candidate], seed: int) -> list[int]:
    """The ids of at most `CASES_OF_A_KIND` cases of each task, language and side.

    Where more of one origin would come in than there is room, it is those that lie farthest from each other and from
    what is in already (greedy k-center over hashed words, the first drawn by `seed`). Texts that differ in white space
    alone count once. A shipped case comes in only where its task and side have no other.
    """
    every = sorted(candidates)
    own = {(one.task, one.is_good) for one in every if one.origin is not Origin.SHIPPED}
    found = [
        one.exemplar_id
        for one in every
        if one.origin is Origin.SHIPPED and (one.task, one.is_good) not in own
    ]
    kinds = sorted((one for one in every if one.origin is not Origin.SHIPPED), key=_kind)
    for _, of_kind in groupby(kinds, _kind):
        found += [one.exemplar_id for one in _of_one_kind(_distinct(of_kind), seed)]
    return found


def _kind(one: Candidate) -> tuple[str, str, bool]:
    return one.task, one.language, one.is_good


def _distinct(candidates: Iterable[Candidate]) -> list[Candidate]:
    """By origin, each text once."""
    by_words: dict[str, Candidate] = {}
    for one in sorted(candidates, key=lambda one: (one.origin, one.exemplar_id)):
        by_words.setdefault(" ".join(one.text.split()), one)
    return list(by_words.values())


def _of_one_kind(candidates: Sequence[Candidate], seed: int) -> list[Candidate]:
    found: list[Candidate] = []
    for _, group in groupby(candidates, lambda one: one.origin):
        coming = list(group)
        room = CASES_OF_A_KIND - len(found)
        found += coming if len(coming) <= room else _far_apart(found, coming, room, seed)
    return found


def _far_apart(
    inside: Sequence[Candidate], coming: Sequence[Candidate], room: int, seed: int
) -> list[Candidate]:
    """`room` of those that are coming; fewer where the rest has the words of one that is in."""
    if not room:
        return []
    points, first = np.unique(
        hashed_words([one.text for one in (*inside, *coming)]), axis=0, return_index=True
    )
    order = np.argsort(first)  # as they came, so that what is in stands first
    points, rows = points[order], first[order]
    start = [place for place, row in enumerate(rows) if row < len(inside)]
    left = len(points) - len(start)
    choices = islice(farthest_first(points, seed, start), min(room, left))
    return [coming[rows[choice.row] - len(inside)] for choice in choices]


def hashed_words(texts: Sequence[str]) -> Matrix:
    """(n, 512) float32 rows of length 1: the square roots of how often each word occurs."""
    counts = np.zeros((len(texts), _WIDTH), dtype=np.float32)
    counts[:, 0] = 1  # a text without words lies somewhere, too
    for row, text in enumerate(texts):
        for word in _WORD.findall(text):
            counts[row, zlib.crc32(word.encode("utf-8", "surrogatepass")) % _WIDTH] += 1
    roots = np.sqrt(counts)
    return roots / np.linalg.norm(roots, axis=1, keepdims=True)

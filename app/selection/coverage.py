"""How well picks cover the rows they were chosen from, and what a random choice would do. Pure.

k-center buys the largest distance, not the mean: a random choice often has the lower mean. Both are shown.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from typing_extensions import TypedDict  # pydantic reads the standard one only from 3.12 on

from app.geometry.kcenter import FloatArray, IntArray, Matrix

_BLOCK_ROWS = 4096


class CurvePoint(TypedDict):
    """Distances (Euclidean, between unit rows) to the nearest of the first `size` centres."""

    size: int
    largest: float
    mean: float
    random_largest: float
    random_mean: float


class Share(NamedTuple):
    language: str
    snippets: int
    picks: int


def curve(points: Matrix, chosen: IntArray, seed: int, steps: int = 24) -> list[CurvePoint]:
    """Coverage by the first 1, 2, 4 ... of the `chosen` rows, beside equally many rows drawn with `seed`."""
    sizes = sorted({round(size) for size in np.geomspace(1, len(chosen), steps)})
    drawn = np.random.default_rng(seed).permutation(len(points))[: len(chosen)]
    pairs = zip(_distances(points, chosen, sizes), _distances(points, drawn, sizes), strict=True)
    return [
        CurvePoint(
            size=size,
            largest=float(ours.max()),
            mean=float(ours.mean()),
            random_largest=float(random.max()),
            random_mean=float(random.mean()),
        )
        for size, (ours, random) in zip(sizes, pairs, strict=True)
    ]


def shares(pool: Sequence[str], picked: Sequence[str]) -> list[Share]:
    """Snippets and picks per language, most snippets first. Both arguments name one language per row."""
    chosen = Counter(picked)
    ranked = sorted(Counter(pool).items(), key=lambda counted: (-counted[1], counted[0]))
    return [Share(language, snippets, chosen[language]) for language, snippets in ranked]


def _distances(points: Matrix, centres: IntArray, sizes: Sequence[int]) -> Iterator[FloatArray]:
    """For each of the rising `sizes`: every row's distance to the nearest of the first `size` centres."""
    similarity = np.full(len(points), -1.0)
    done = 0
    for size in sizes:
        added = points[centres[done:size]]
        for first in range(0, len(points), _BLOCK_ROWS):
            block = slice(first, first + _BLOCK_ROWS)
            similarity[block] = np.maximum(similarity[block], (points[block] @ added.T).max(axis=1))
        similarity[centres[done:size]] = 1.0  # not merely up to rounding
        done = size
        yield np.sqrt(np.maximum(0.0, 2.0 - 2.0 * similarity))

"""Greedy k-center over unit rows: exact, and the same picks on every machine. Pure.

The farthest row is often the farthest by the last bit of a number only. Fast products round as the library,
the processor and the block size will have it, so they never decide: they rule rows out, by a bound that holds
for every order of summation, and `canonical_dots` decides among the rest.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidInput

Matrix = NDArray[np.float32]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

UNIT_TOLERANCE = 1e-4
_BLOCK_ROWS = 8192  # rows evaluated at a time, so that memory stays bounded
_FLOAT32_UNIT = 2.0**-24
_UNSEEN = -2.0  # below every similarity
_CHOSEN = 2.0  # above every similarity: never the farthest again


class Cover(NamedTuple):
    """What was chosen, in order, and how well it covers all rows."""

    chosen: IntArray  # (k,) row numbers
    radius: FloatArray  # (k,) Euclidean distance of the farthest row to its nearest centre after each choice


class Choice(NamedTuple):
    row: int
    radius: float  # covering radius with this row among the centres


def k_center(points: Matrix, k: int, seed: int, start: Sequence[int] = ()) -> Cover:
    """Pick `k` rows so that the farthest row is as near as possible to a picked one.

    Greedy farthest-first, at most twice the best radius (Gonzalez 1985; Sener & Savarese 2018).
    `points` is (n, d) float32 with rows of length 1. The first centre is drawn with `seed`, or `start` names
    rows that were picked earlier: the cover goes on from them and `Cover` holds the new picks only.
    Ties go to the lowest row number, so seed and start fix the answer.

    Raises `InvalidInput` for rows that are not finite or not of length 1, for a `start` that is not a set of
    row numbers, and where `k` asks for more than the rows that are left or for two equal rows.
    """
    if k < 1:
        raise InvalidInput("k must be at least 1", field="k")
    if k > len(points) - len(start):
        raise InvalidInput(f"k is {k}, but only {len(points) - len(start)} rows can be chosen", field="k")
    choices = list(islice(farthest_first(points, seed, start), k))
    return Cover(
        np.array([choice.row for choice in choices], dtype=np.int64),
        np.array([choice.radius for choice in choices], dtype=np.float64),
    )


def farthest_first(points: Matrix, seed: int, start: Sequence[int] = ()) -> Iterator[Choice]:
    """The picks of `k_center` one by one, until every row is chosen: for callers who must pause between."""
    points = np.ascontiguousarray(points, dtype=np.float32)
    _refuse_unusable_points(points)
    _refuse_unusable_start(len(points), start)
    similarity = np.full(len(points), _UNSEEN)
    for row in start:
        _add_centre(points, similarity, row)

    centres = list(start)
    row = int(np.argmin(similarity)) if centres else int(np.random.default_rng(seed).integers(len(points)))
    while len(centres) < len(points):
        if similarity[row] > 1 - 3 * UNIT_TOLERANCE:  # so near that it may be the same row again
            _refuse_repeated_row(points, centres, row)
        _add_centre(points, similarity, row)
        centres.append(row)
        farthest = int(np.argmin(similarity))
        yield Choice(row, _distance(float(similarity[farthest])))
        row = farthest


def canonical_dots(rows: Matrix, centre: Matrix) -> FloatArray:
    """Dot products of (m, d) rows with one (d,) centre, the same to the last bit wherever they are asked for.

    Products of float32 are exact in float64; the sum folds the right half onto the left until one is left.
    """
    terms = rows.astype(np.float64) * centre.astype(np.float64)
    width = terms.shape[1]
    while width > 1:
        half = width // 2
        terms[:, :half] += terms[:, width - half : width]
        width -= half
    return terms[:, 0]


def _add_centre(points: Matrix, similarity: FloatArray, row: int) -> None:
    """Raise each row's `similarity` to its nearest centre, now that `row` is one of them."""
    centre = points[row]
    slack = 1.01 * points.shape[1] * _FLOAT32_UNIT * (1 + UNIT_TOLERANCE) ** 2  # worst error of a float32 dot
    risen = np.flatnonzero(points @ centre > similarity - slack)
    for block in np.array_split(risen, max(1, -(-len(risen) // _BLOCK_ROWS))):
        similarity[block] = np.maximum(similarity[block], canonical_dots(points[block], centre))
    similarity[row] = _CHOSEN


def _distance(similarity: float) -> float:
    """Euclidean distance of two unit rows with this dot product."""
    return max(0.0, 2.0 - 2.0 * similarity) ** 0.5


def _refuse_unusable_points(points: Matrix) -> None:
    if points.ndim != 2 or 0 in points.shape:
        raise InvalidInput(f"points must be rows of numbers, not an array of shape {points.shape}")
    length = np.sqrt(np.einsum("ij,ij->i", points, points, dtype=np.float64))
    unusable = np.flatnonzero(~(np.abs(length - 1) <= UNIT_TOLERANCE))  # the negation also catches NaN
    if unusable.size:
        row = int(unusable[0])
        why = "is all zeros" if length[row] == 0 else f"has length {length[row]:.6g}, not 1"
        why = why if np.isfinite(length[row]) else "holds a number that is not finite"
        raise InvalidInput(f"row {row} {why} ({unusable.size} of {len(points)} rows are unusable)")


def _refuse_unusable_start(n: int, start: Sequence[int]) -> None:
    if len(set(start)) != len(start):
        raise InvalidInput("a row is named twice in start", field="start")
    if any(not 0 <= row < n for row in start):
        raise InvalidInput(f"start names a row outside 0 to {n - 1}", field="start")


def _refuse_repeated_row(points: Matrix, centres: Sequence[int], row: int) -> None:
    """Equal rows are as near as can be, so they come up last: then there is nothing left worth choosing."""
    repeated = np.flatnonzero((points[list(centres)] == points[row]).all(axis=1))
    if repeated.size:
        raise InvalidInput(
            f"row {row} repeats row {centres[int(repeated[0])]}: "
            f"only {len(centres)} different rows could be chosen, so leave out exact duplicates",
            field="k",
        )

"""The course of an audit as a table that people can read: not each of thousands of draws. Pure."""

from typing import NamedTuple

import numpy as np

from app.guarantee.labels import Standing

MOST_POINTS = 60


class Point(NamedTuple):
    """After one draw."""

    draw: int
    defects: int  # found so far
    upper_bound: int  # most in the drawn part that are not ruled out


def course(standing: Standing, most: int = MOST_POINTS) -> list[Point]:
    """The last draw, those that found a defect, and others at about equal steps; `most` at most, in order."""
    if not standing.draws:
        return []
    found = np.flatnonzero(standing.defect)[-most // 2 :] + 1
    steps = np.unique(np.linspace(1, standing.draws, most - len(found)).round().astype(np.int64))
    defects = np.cumsum(standing.defect)
    return [
        Point(int(draw), int(defects[draw - 1]), int(standing.upper_bounds[draw - 1]))
        for draw in np.union1d(found, steps)
    ]

"""The lines of the coverage charts, in the units of their drawing. Pure.

The drawing is made in the template; here is only where its parts go. Picks run on a logarithmic axis: the
first ten change as much as the next hundred.
"""

from collections.abc import Sequence
from math import ceil, log
from typing import NamedTuple

from app.selection.coverage import CurvePoint

WIDTH, HEIGHT = 400, 250
LEFT, RIGHT, TOP, BOTTOM = 34, 322, 34, 200  # the plot; labels of the lines stand right of it
_LABEL_GAP = 16  # between two lines of text
_TICK_EVERY = 0.5
_TICK_GAP = 42  # "100,000" is not to touch its neighbour


class Tick(NamedTuple):
    at: float
    text: str


class Line(NamedTuple):
    name: str
    kind: str  # picks or random
    points: str  # "x,y x,y ...", as a polyline takes them
    label_at: float


class Chart(NamedTuple):
    lines: list[Line]
    across: list[Tick]
    upwards: list[Tick]


def chart(sizes: Sequence[int], ours: Sequence[float], random: Sequence[float]) -> Chart:
    """Two lines over the same rising `sizes` (at least two of them, from 1), from distance 0 upwards."""
    top = ceil(max(*ours, *random, _TICK_EVERY) / _TICK_EVERY) * _TICK_EVERY

    def x(size: int) -> float:
        return round(LEFT + (RIGHT - LEFT) * log(size) / log(sizes[-1]), 1)

    def y(distance: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * distance / top, 1)

    def points(distances: Sequence[float]) -> str:
        return " ".join(f"{x(size)},{y(far)}" for size, far in zip(sizes, distances, strict=True))

    ours_at, random_at = _apart(y(ours[-1]), y(random[-1]))
    return Chart(
        lines=[
            Line("random", "random", points(random), random_at),
            Line("k-center", "picks", points(ours), ours_at),
        ],
        across=[Tick(x(size), f"{size:,}") for size in _round_sizes(sizes[-1])],
        upwards=[
            Tick(y(step * _TICK_EVERY), f"{step * _TICK_EVERY:.1f}")
            for step in range(round(top / _TICK_EVERY) + 1)
        ],
    )


def charts(curve: Sequence[CurvePoint]) -> dict[str, Chart]:
    """The largest and the mean distance; nothing where one pick is all there is."""
    if len(curve) < 2:
        return {}
    sizes = [point["size"] for point in curve]
    return {
        "largest": chart(
            sizes, [point["largest"] for point in curve], [point["random_largest"] for point in curve]
        ),
        "mean": chart(sizes, [point["mean"] for point in curve], [point["random_mean"] for point in curve]),
    }


def _round_sizes(last: int) -> list[int]:
    """1, 10, 100 ... and the last size itself, without those whose numbers would touch."""
    width_of_log = (RIGHT - LEFT) / log(last)
    powers: list[int] = []
    power = 1
    while log(last / power) * width_of_log >= _TICK_GAP:
        if not powers or log(power / powers[-1]) * width_of_log >= _TICK_GAP:
            powers.append(power)
        power *= 10
    return [*powers, last]


def _apart(first: float, second: float) -> tuple[float, float]:
    """Two heights moved apart until a line of text fits between them."""
    missing = _LABEL_GAP - abs(first - second)
    if missing <= 0:
        return first, second
    shift = missing / 2 if first > second else -missing / 2
    return round(first + shift, 1), round(second - shift, 1)

"""Probabilities of a sequence of labels, drawn without replacement, as logarithms. Pure."""

import math

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_SERIES_FROM = 32  # here three terms of Stirling's series are exact to the last bit


def log_likelihood(draws: IntArray, defects: IntArray, in_lot: IntArray, rows: int) -> FloatArray:
    """log l(n, k, D) = log of D (D-1) .. x (N-D) (N-D-1) .. / N (N-1) .., with k, n - k and n factors."""
    return (
        log_falling(in_lot, defects)
        + log_falling(rows - in_lot, draws - defects)
        - log_falling(np.full_like(draws, rows), draws)
    )


def log_mixture(draws: IntArray, defects: IntArray, a: float, b: float) -> FloatArray:
    """log m(n, k) = log of B(a + k, b + n - k) / B(a, b)."""
    most = int(draws.max(initial=0))
    return (
        _log_rising(a, most)[defects]
        + _log_rising(b, most)[draws - defects]
        - _log_rising(a + b, most)[draws]
    )


def _log_rising(start: float, factors: int) -> FloatArray:
    """(factors + 1,) log of start (start + 1) .. with 0, 1, .. factors."""
    return np.concatenate(([0.0], np.cumsum(np.log(start + np.arange(factors)))))


def log_falling(start: IntArray, factors: IntArray) -> FloatArray:
    """log of start (start - 1) .. with so many factors; -inf where one of them is 0.

    Stirling's formula for both ends of the product, arranged so that no large numbers cancel: sums of a million
    logarithms would be off by more than neighbouring D differ, and another processor would find other bounds.
    """
    top = np.maximum(start + 1.0, 1.0)
    rest = np.maximum(top - factors, 1.0)
    taken = top - rest
    log = taken * (np.log(top) - 1) - (rest - 0.5) * np.log1p(-taken / top)
    return np.where(factors <= start, log + _series(top) - _series(rest), -np.inf)


def _series(x: FloatArray) -> FloatArray:
    """log gamma(x) - ((x - 1/2) log x - x + log(2 pi) / 2) for whole x >= 1."""
    small = _SERIES_SMALL[np.minimum(x, _SERIES_FROM - 1).astype(np.int64)]
    return np.where(x < _SERIES_FROM, small, 1 / (12 * x) - 1 / (360 * x**3) + 1 / (1260 * x**5))


_SERIES_SMALL: FloatArray = np.array(
    [0.0]
    + [
        math.lgamma(x) - ((x - 0.5) * math.log(x) - x + 0.5 * math.log(2 * math.pi))
        for x in range(1, _SERIES_FROM)
    ]
)

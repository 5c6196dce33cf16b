"""The test behind an audit: how many defects a lot can still hold after some draws. Pure, exact for finite lots.

A lot of N rows holds D defects; rows are drawn without replacement and labelled ok or defect. After n draws
with k defects, l(n, k, D) is the probability of that sequence of labels, and m(n, k) its probability under one
beta prior that was fixed before the first draw. Under D, m / l is a nonnegative martingale that starts at 1
(the prior-posterior ratio; Waudby-Smith & Ramdas 2020, "Confidence sequences for sampling without
replacement"), so by Ville's inequality the chance that it ever reaches 1 / alpha is at most alpha: D is
rejected there, whenever people look and whenever they stop.

m is a mixture of l over D, so it never exceeds the largest l; and l falls on both sides of its largest value.
So the D that are not rejected lie together, around that value, and every D > tolerance is rejected as soon as
the likeliest of them is.
"""

import math
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from app.errors import InvalidInput
from app.guarantee.sequences import BoolArray, FloatArray, IntArray, log_likelihood, log_mixture

NEVER = -1  # in a boundary: no number of defects certifies at this draw
_TIE = 1e-9  # of a logarithm: what differs by less is equal, so that rounding decides no tie, on no machine
_PRIOR_WEIGHT = 50  # draws that the prior is worth
_PRIOR_SHARE = 4  # it expects a fourth of the defects that the claim allows


class Prior(NamedTuple):
    """A beta distribution of the defect rate, fixed before the first draw. It decides how soon, never whether
    rightly."""

    a: float
    b: float


class Test(NamedTuple):
    """What is tested: that no more than `tolerance` of `rows` are defects."""

    __test__ = False  # pytest takes a class of this name for one of its own

    rows: int  # N, of the random part
    tolerance: int  # most defects that the claim allows in it; below 0 nothing can be claimed
    alpha: float  # the chance of certifying a lot that holds more
    prior: Prior


def prior_for(max_defect_rate: float) -> Prior:
    """The prior of an audit that is to claim at most this rate: soon done where the true rate is a fourth of it."""
    expected = max_defect_rate / _PRIOR_SHARE
    return Prior(_PRIOR_WEIGHT * expected, _PRIOR_WEIGHT * (1 - expected))


def tolerance_of(max_defect_rate: float, rows_released: int, defects_left: int = 0) -> int:
    """Defects that the random part may hold: floor(p N) less those known to stay elsewhere in the release.

    The rate is meant as it is written: 0.29 of 100 rows are 29, which binary fractions miss.
    """
    return math.floor(Decimal(str(max_defect_rate)) * rows_released) - defects_left


def certified_at(defect: BoolArray, test: Test) -> int | None:
    """The first n at which every D > tolerance is rejected; None while there is none.

    `defect` is (n,), the labels in draw order. 0 where the claim holds without a draw. Raises `InvalidInput`
    for a test that makes no sense and for more labels than rows.
    """
    _refuse_unusable(test, len(defect))
    if test.tolerance >= test.rows:
        return 0
    certified = np.flatnonzero(certifies(*_counts(defect), test))
    return int(certified[0]) + 1 if certified.size else None


def upper_bounds(defect: BoolArray, test: Test) -> IntArray:
    """(n,) the most defects in the lot that are not rejected after each draw; what was rejected stays so."""
    _refuse_unusable(test, len(defect))
    draws, defects = _counts(defect)
    threshold = math.log(test.alpha) + log_mixture(draws, defects, *test.prior)
    bound = _likeliest(draws, defects, test.rows)
    for step in _halving(test.rows):
        stays = log_likelihood(draws, defects, bound + step, test.rows) > threshold + _TIE
        bound = np.where(stays, bound + step, bound)
    return np.minimum.accumulate(bound)


def boundary(test: Test) -> IntArray:
    """(N + 1,) the most defects among n draws with which one certifies at n, or `NEVER`."""
    return boundary_at(np.arange(test.rows + 1), test)


def boundary_at(draws: IntArray, test: Test) -> IntArray:
    """The boundary at some numbers of draws."""
    _refuse_unusable(test)
    most = np.full_like(draws, NEVER)
    for step in _halving(min(test.tolerance, test.rows) + 1):
        does = (most + step <= draws) & certifies(draws, np.minimum(most + step, draws), test)
        most = np.where(does, most + step, most)
    return most


def certifies(draws: IntArray, defects: IntArray, test: Test) -> BoolArray:
    """Whether these counts, each by itself, reject every D > tolerance; all arrays of one shape."""
    if test.tolerance >= test.rows:
        return np.full(draws.shape, fill_value=True)
    return evidence(draws, defects, test) >= -math.log(test.alpha) - _TIE


def evidence(draws: IntArray, defects: IntArray, test: Test) -> FloatArray:
    """log (m / l) at the likeliest D > tolerance, which is below N: at log (1 / alpha) the audit has passed."""
    if test.tolerance < 0:
        return np.full(draws.shape, -np.inf)
    hardest = np.maximum(test.tolerance + 1, _likeliest(draws, defects, test.rows))
    likelihood = log_likelihood(draws, defects, hardest, test.rows)
    return log_mixture(draws, defects, *test.prior) - likelihood


def _likeliest(draws: IntArray, defects: IntArray, rows: int) -> IntArray:
    """The D with the largest l: floor(k (N + 1) / n), at most what the rows seen to be ok leave."""
    nearest = defects * (rows + 1) // np.maximum(draws, 1)
    return np.minimum(nearest, rows - (draws - defects))


def _halving(reach: int) -> list[int]:
    """Steps that add up to any whole number up to `reach`, the largest first."""
    return [2**power for power in reversed(range(reach.bit_length()))]


def _counts(defect: BoolArray) -> tuple[IntArray, IntArray]:
    """(n,) draws and defects after each draw."""
    return np.arange(1, len(defect) + 1), np.cumsum(defect, dtype=np.int64)


def _refuse_unusable(test: Test, labels: int = 0) -> None:
    if test.rows < 0 or not 0 < test.alpha < 1 or test.prior.a <= 0 or test.prior.b <= 0:
        raise InvalidInput(f"a test needs rows, alpha between 0 and 1 and a prior above 0, not {test}")
    if labels > test.rows:
        raise InvalidInput(f"there are {labels} labels, but only {test.rows} rows")

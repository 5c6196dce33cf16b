"""Figures of a judge are those that independent implementations give."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, strategies
from scipy.stats import binomtest, hypergeom
from sklearn.calibration import calibration_curve
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from app.dashboard.calibration import (
    Confusion,
    Decided,
    Paired,
    RuleCounts,
    Share,
    Use,
    calibration_error,
    confusion,
    paired,
    reliability,
)

COUNTS = strategies.integers(0, 60)
VERDICTS = strategies.lists(
    strategies.tuples(strategies.sampled_from(["pass", "fail"]), strategies.booleans()),
    min_size=2,
    max_size=80,
)


@given(COUNTS, COUNTS)
def test_a_share_has_the_exact_interval(hits: int, misses: int) -> None:
    units = hits + misses
    if not units:
        assert Share(0, 0).value is None
        return
    expected = binomtest(hits, units).proportion_ci(method="exact")
    assert Share(hits, units).interval == pytest.approx((expected.low, expected.high))


@given(VERDICTS)
def test_a_confusion_and_its_kappa_agree_with_scikit_learn(said: list[tuple[str, bool]]) -> None:
    found = confusion(Decided(verdict, good, 1) for verdict, good in said)
    judge = [verdict == "pass" for verdict, _ in said]
    people = [good for _, good in said]

    (true_negative, false_positive), (false_negative, true_positive) = confusion_matrix(
        people, judge, labels=[False, True]
    )
    assert found[:4] == (true_negative, false_negative, false_positive, true_positive)
    if len({*judge, *people}) == 2 and found.kappa is not None:
        assert found.kappa == pytest.approx(cohen_kappa_score(people, judge))


def test_invalid_verdicts_stand_apart() -> None:
    found = confusion([Decided("invalid", True, 3), Decided("invalid", False, 2), Decided("pass", True, 4)])

    assert found == Confusion(passed_good=4, invalid=5)
    assert found.units == 4
    assert found.kappa is None, "where nobody ever says anything else there is nothing beyond chance"


@given(strategies.integers(0, 30), strategies.integers(0, 30))
def test_mcnemar_is_the_exact_two_sided_sign_test(old: int, new: int) -> None:
    apart, fewer = old + new, min(old, new)
    one_side = sum(math.comb(apart, k) for k in range(fewer + 1)) / 2**apart
    found = Paired(7, old, new, 3).mcnemar
    assert found is None if not apart else found == pytest.approx(min(1.0, 2 * one_side))


def test_an_invalid_verdict_is_right_about_nothing() -> None:
    assert paired(["invalid", "pass", "fail"], ["pass", "fail", "fail"], [True, True, False]) == Paired(
        1, 1, 1, 0
    )


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_the_chance_of_a_rule_is_the_tail_of_the_hypergeometric(a: int, b: int, c: int, d: int) -> None:
    assume(a + b + c + d)
    tail = hypergeom.sf(a - 1, a + b + c + d, a + c, a + b)
    assert RuleCounts("r", a, b, c, d).chance == pytest.approx(tail, abs=1e-9)


def test_rules_that_do_not_help_are_named() -> None:
    assert RuleCounts("sharp", no_defective=30, no_good=2, yes_defective=10, yes_good=58).use is Use.HELPS
    assert (
        RuleCounts("blind", no_defective=10, no_good=30, yes_defective=15, yes_good=45).use is Use.NOT_SHOWN
    )
    assert RuleCounts("asleep", yes_defective=20, yes_good=80).use is Use.NEVER_NO
    assert RuleCounts("young", no_defective=9, yes_good=10).use is Use.TOO_FEW


@given(
    strategies.lists(
        strategies.tuples(strategies.floats(0, 1), strategies.booleans()), min_size=1, max_size=200
    )
)
def test_bins_of_scores_agree_with_scikit_learn(answers: list[tuple[float, bool]]) -> None:
    scores = (
        np.floor(np.array([score for score, _ in answers]) * 63) + 0.5
    ) / 64  # none on the edge of a bin
    good = np.array([is_good for _, is_good in answers])

    bins = reliability(scores, good, bins=8)

    shares, means = calibration_curve(good, scores, n_bins=8)
    assert [one.good for one in bins] == pytest.approx(list(shares))
    assert [one.score for one in bins] == pytest.approx(list(means))
    assert 0 <= calibration_error(bins) <= 1

"""Figures of agreement equal the kept libraries' and published ones; where they are undefined they say so."""

from itertools import combinations_with_replacement

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from app.dashboard.agreement import (
    ANSWERS,
    FEWEST_UNITS,
    Counts,
    Estimate,
    Pattern,
    agreement,
    alpha,
    cohens_kappa,
    kappa,
    nominal_alpha,
    pairs,
)
from app.pipeline import Action

TWO_READERS = np.array(
    [np.bincount(said, minlength=3) for said in combinations_with_replacement(range(3), 2)]
)
"""(6, 3): every pattern that two readers can leave."""

ACCEPT, EDIT, REJECT = ANSWERS


def counts(*shape: int, most: int = 40) -> st.SearchStrategy[Counts]:
    return arrays(np.int64, shape, elements=st.integers(0, most))


def test_alpha_equals_the_published_example() -> None:
    """Four observers and twelve units, some unseen: Krippendorff 2011, section C."""
    seen = ["1 1 1", "2 2 3 2", "3 3 3 3", "3 3 3 3", "2 2 2 2", "1 2 3 4", "4 4 4 4", "1 1 2 1", "2 2 2 2"]
    seen += ["5 5 5", "1 1"]  # the twelfth has one observer alone and does not count
    answers = np.array([np.bincount([int(one) - 1 for one in unit.split()], minlength=5) for unit in seen])

    assert nominal_alpha(answers, np.ones(len(seen), np.int64)) == pytest.approx(0.743, abs=0.0005)


@given(counts(8, 3, most=4), counts(8))
def test_alpha_equals_the_librarys(answers: Counts, units: Counts) -> None:
    answers, units = answers[answers.sum(axis=1) > 1], units[answers.sum(axis=1) > 1]
    each = np.repeat(answers, units, axis=0)
    assume((each.sum(axis=0) > 0).sum() > 1)  # else it is undefined

    expected = krippendorff.alpha(value_counts=each, level_of_measurement="nominal")

    assert nominal_alpha(answers, units) == pytest.approx(expected)


@given(counts(3, 3))
def test_kappa_equals_the_librarys(table: Counts) -> None:
    assume((table.sum(axis=0) + table.sum(axis=1) > 0).sum() > 1)  # else it is undefined
    said, other = np.indices((3, 3)).reshape(2, -1)

    expected = cohen_kappa_score(said, other, labels=[0, 1, 2], sample_weight=table.ravel())

    assert cohens_kappa(table) == pytest.approx(expected)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    shares = np.array([0.55, 0.1, 0.05, 0.1, 0.05, 0.15])
    truth = nominal_alpha(TWO_READERS, shares * 1e9)
    projects = np.random.default_rng(3).multinomial(100, shares, 200)

    found = [alpha(TWO_READERS, units) for units in projects]

    held = sum(one.low <= truth <= one.high for one in found if one.low is not None and one.high is not None)
    assert 0.91 < held / len(found) < 0.98


def test_the_share_that_agrees_has_the_score_interval() -> None:
    patterns = [Pattern([1, 2], [ACCEPT, ACCEPT], 27), Pattern([1, 2], [ACCEPT, REJECT], 3)]

    share = agreement(patterns).share

    expected = binomtest(27, 30).proportion_ci(method="wilson")
    assert share == pytest.approx(Estimate(30, 0.9, expected.low, expected.high))


def test_two_edits_agree_and_an_edit_keeps_as_an_acceptance_does() -> None:
    patterns = [
        Pattern([1, 2], [EDIT, EDIT], 10),
        Pattern([1, 2], [ACCEPT, EDIT], 10),
        Pattern([2, 3], [REJECT, REJECT], 10),
    ]

    found = agreement(patterns)

    assert found.share.value == pytest.approx(2 / 3)
    assert found.alpha_kept.value == 1


def test_readers_are_compared_two_by_two_whoever_else_read_with_them() -> None:
    patterns = [
        Pattern([1, 2, 3], [ACCEPT, ACCEPT, REJECT], 15),
        Pattern([1, 2], [REJECT, REJECT], 15),
        Pattern([2, 3], [Action.EDIT, Action.EDIT], 5),
    ]

    (first, second, third), number = pairs(patterns, most=9)

    assert (first.people, first.kappa.units, first.kappa.value) == ((1, 2), 30, 1)
    assert (second.people, second.kappa.units) == ((2, 3), 20)
    assert (third.people, third.kappa) == ((1, 3), Estimate(15))
    assert (number, len(pairs(patterns, most=1)[0])) == (3, 1)


def test_too_few_units_give_no_figure() -> None:
    patterns = [Pattern([1, 2], [ACCEPT, REJECT], FEWEST_UNITS - 1)]

    assert set(agreement(patterns)) == {Estimate(FEWEST_UNITS - 1)}
    assert set(agreement([])) == {Estimate(0)}


def test_where_everybody_always_says_the_same_alpha_and_kappa_are_undefined() -> None:
    patterns = [Pattern([1, 2], [ACCEPT, ACCEPT], 50)]

    found = agreement(patterns)

    assert (found.alpha, found.alpha_kept) == (Estimate(50), Estimate(50))
    assert pairs(patterns, most=1)[0][0].kappa == Estimate(50)
    assert found.share.value == 1
    assert found.share.low is not None
    assert found.share.low < 1


def test_where_nobody_disagrees_there_is_a_value_but_no_interval() -> None:
    assert kappa(np.diag([20, 0, 20])) == Estimate(40, 1.0)


def test_the_same_readings_give_the_same_interval() -> None:
    units = np.array([30, 4, 5, 8, 2, 20])

    assert alpha(TWO_READERS, units) == alpha(TWO_READERS, units)

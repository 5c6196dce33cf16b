"""When a lot may be certified, and how many defects it can still hold: the fast test is the plain definition."""

import tracemalloc
from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.guarantee.plans import false_certification
from app.guarantee.sequential import (
    NEVER,
    Prior,
    Test,
    boundary,
    certified_at,
    prior_for,
    tolerance_of,
    upper_bounds,
)


def rejected(draws: int, defects: int, test: Test) -> list[bool]:
    """(N + 1,) whether m >= l / alpha for each D, exactly: of the ways to place D defects, l have these labels."""
    a, b = (Fraction(str(one)) for one in test.prior)
    mixture = Fraction(1)
    for number in range(draws):
        seen = (a + number) if number < defects else (b + number - defects)
        mixture *= seen / (a + b + number)
    most = Fraction(str(test.alpha)) * mixture
    return [
        in_lot < defects or comb(test.rows - draws, in_lot - defects) <= most * comb(test.rows, in_lot)
        for in_lot in range(test.rows + 1)
    ]


def by_definition(defect: list[bool], test: Test) -> tuple[int | None, list[int]]:
    """Look at every D after every draw. What was rejected stays so."""
    certified, bounds, bound = None, [], test.rows
    for draws in range(1, len(defect) + 1):
        largest = max(np.flatnonzero(~np.array(rejected(draws, sum(defect[:draws]), test))).tolist())
        if certified is None and largest <= test.tolerance:
            certified = draws
        bound = min(bound, largest)
        bounds.append(bound)
    return certified, bounds


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Test, list[bool]]:
    rows = draw(st.integers(1, 40))
    prior = Prior(draw(st.floats(0.05, 20)), draw(st.floats(0.05, 60)))
    test = Test(rows, draw(st.integers(0, rows - 1)), draw(st.sampled_from([0.03, 0.05, 0.1, 0.31])), prior)
    seldom = st.sampled_from([True] + 5 * [False])
    return test, draw(st.lists(seldom | st.booleans(), max_size=rows))


@settings(max_examples=60, deadline=None)
@given(labelled())
def test_certification_and_bounds_are_those_of_the_plain_definition(case):
    test, defect = case
    certified, bounds = by_definition(defect, test)

    assert certified_at(np.array(defect, dtype=bool), test) == certified
    assert upper_bounds(np.array(defect, dtype=bool), test).tolist() == bounds


@settings(max_examples=25, deadline=None)
@given(labelled())
def test_one_certifies_with_as_many_defects_as_the_boundary_says_or_fewer(case):
    test, _ = case
    most = boundary(test)

    for draws in range(1, test.rows + 1):
        does = [all(rejected(draws, defects, test)[test.tolerance + 1 :]) for defects in range(draws + 1)]
        assert does == [defects <= most[draws] for defects in range(draws + 1)]


@pytest.mark.parametrize(("rows", "tolerance", "alpha"), [(14, 2, 0.3), (12, 1, 0.2), (16, 4, 0.4)])
def test_of_all_orders_of_a_lot_with_one_defect_too_many_at_most_alpha_are_certified(rows, tolerance, alpha):
    test = Test(rows, tolerance, alpha, prior_for(tolerance / rows))
    wrong = 0
    for places in combinations(range(rows), tolerance + 1):
        defect = np.zeros(rows, dtype=bool)
        defect[list(places)] = True
        wrong += certified_at(defect, test) is not None

    share = Fraction(wrong, comb(rows, tolerance + 1))
    assert 0 < share <= alpha
    assert false_certification(test, tolerance + 1) == pytest.approx(float(share), rel=1e-12)


def test_a_lot_that_is_read_to_its_end_is_known():
    defect = np.zeros(200, dtype=bool)
    defect[[3, 50, 120, 199]] = True
    test = Test(200, 4, 0.05, prior_for(0.02))

    assert upper_bounds(defect, test)[-1] == 4
    assert certified_at(defect, test) is not None
    assert certified_at(defect, test._replace(tolerance=3)) is None


def test_a_claim_that_needs_no_draw_and_one_that_none_can_keep():
    no_labels = np.zeros(0, dtype=bool)
    test = Test(10, 10, 0.05, prior_for(0.02))

    assert certified_at(no_labels, test) == 0
    assert boundary(test).tolist() == list(range(11))
    assert certified_at(np.zeros(10, dtype=bool), test._replace(tolerance=-1)) is None
    assert boundary(test._replace(tolerance=-1)).tolist() == [NEVER] * 11
    assert upper_bounds(no_labels, test).tolist() == []


def test_a_lot_of_a_million_takes_the_memory_of_its_labels():
    defect = np.random.default_rng(1).random(5000) < 0.004
    test = Test(1_000_000, 20_000, 0.05, prior_for(0.02))
    tracemalloc.start()
    try:
        certified, bounds = certified_at(defect, test), upper_bounds(defect, test)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert certified is not None
    assert bounds[certified - 1] <= 20_000 < bounds[certified - 2]
    assert peak < 2_000_000


def test_neighbouring_counts_of_a_large_lot_are_told_apart_exactly():
    """At a million rows, against whole numbers: no rounding decides which D is the largest not rejected."""
    rows, draws, prior = 1_000_000, 600, Prior(1, 40)
    defect = np.zeros(draws, dtype=bool)
    bound = int(upper_bounds(defect, Test(rows, 20_000, 0.05, prior))[-1])
    mixture = Fraction(1)
    for number in range(draws):
        mixture *= Fraction(40 + number, 41 + number)

    def likelihood(in_lot: int) -> Fraction:
        return Fraction(comb(rows - in_lot, draws), comb(rows, draws))

    assert likelihood(bound) > Fraction(5, 100) * mixture >= likelihood(bound + 1)


def test_a_tie_is_a_rejection_however_it_is_rounded():
    """m = 0.995 after one draw that is ok, and 995 of 20,000 are a twentieth of it."""
    bounds = upper_bounds(np.zeros(1, dtype=bool), Test(20_000, 400, 0.05, prior_for(0.02)))

    assert bounds.tolist() == [19_004]


def test_the_tolerance_takes_the_rate_as_it_is_written():
    assert tolerance_of(0.29, 100) == 29  # 0.29 * 100 is 28.999999999999996
    assert tolerance_of(0.02, 5_049, defects_left=3) == 97


def test_labels_beyond_the_lot_and_a_test_without_sense_are_refused():
    test = Test(3, 1, 0.05, prior_for(0.02))

    with pytest.raises(InvalidInput, match="4 labels, but only 3 rows"):
        certified_at(np.zeros(4, dtype=bool), test)
    with pytest.raises(InvalidInput, match="alpha between 0 and 1"):
        upper_bounds(np.zeros(2, dtype=bool), test._replace(alpha=1.0))

"""What an audit costs and how often it errs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, hypergeom

from app.errors import InvalidInput
from app.guarantee.plans import (
    expected_draws_left,
    false_certification,
    fixed_plan,
    mean_draws,
    miss_rate_limit,
)
from app.guarantee.sequential import Test, certified_at, prior_for


def usual(rows: int, rate: float, alpha: float = 0.05) -> Test:
    return Test(rows, int(rate * rows), alpha, prior_for(rate))


def test_the_draws_of_the_table_in_the_design_note():
    found = {
        (rows, rate): [round(mean_draws(usual(rows, rate), round(rows * rate * part))) for part in parts]
        for rows, rate, parts in [
            (20_000, 0.05, (0, 1 / 8, 1 / 4, 1 / 2)),
            (5_000, 0.02, (0, 1 / 8, 1 / 4)),
            (500, 0.02, (0, 1 / 8, 1 / 4, 1 / 2)),
        ]
    }

    assert found == {
        (20_000, 0.05): [69, 101, 155, 461],
        (5_000, 0.02): [162, 243, 383],
        (500, 0.02): [129, 158, 192, 317],
    }


@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_a_lot_that_just_breaks_the_claim_is_certified_with_at_most_alpha(alpha):
    test = usual(500, 0.02, alpha)

    assert 0.85 * alpha < false_certification(test, test.tolerance + 1) <= alpha
    assert false_certification(test, test.tolerance) == pytest.approx(1)


def test_the_recursion_is_the_mean_over_lots_that_were_drawn():
    test, in_lot = usual(300, 0.05), 6
    rng = np.random.default_rng(2)
    drawn = [certified_at(rng.permutation(np.arange(300) < in_lot), test) for _ in range(2000)]

    error = np.std(drawn) / len(drawn) ** 0.5
    assert abs(np.mean(drawn) - mean_draws(test, in_lot)) < 4 * error


def test_what_is_left_of_an_audit_is_counted_from_where_it_stands():
    test = usual(5_000, 0.02)

    assert expected_draws_left(0, 0, test, rate=0.0) == mean_draws(test, 0) == 162
    assert expected_draws_left(100, 0, test, rate=0.0) == 62
    after_a_defect = expected_draws_left(100, 1, test, rate=0.0)
    assert after_a_defect is not None
    assert after_a_defect > 62
    assert expected_draws_left(0, 0, test) == pytest.approx(mean_draws(test, 25))  # what the prior expects
    assert expected_draws_left(100, 9, test) is None  # a lot of such rows breaks the claim


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(5, 400), tolerance=st.integers(0, 40), most=st.integers(0, 5))
def test_a_fixed_plan_is_the_smallest_that_keeps_alpha(rows, tolerance, most):
    if not most <= tolerance < rows:
        with pytest.raises(InvalidInput):
            fixed_plan(rows, tolerance, 0.05, most)
        return
    draws = fixed_plan(rows, tolerance, 0.05, most)

    assert hypergeom.cdf(most, rows, tolerance + 1, draws) <= 0.05 + 1e-12
    assert hypergeom.cdf(most, rows, tolerance + 1, draws - 1) > 0.05 - 1e-12


def test_the_fixed_plans_of_the_design_note():
    assert fixed_plan(20_000, 400, 0.05, 0) == 148
    assert fixed_plan(20_000, 400, 0.05, 2) == 311


@pytest.mark.parametrize(("missed", "found"), [(0, 1), (0, 12), (3, 12), (11, 12), (40, 300)])
def test_the_limit_of_the_miss_rate_is_exact(missed, found):
    exact = beta.ppf(0.95, missed + 1, found - missed)

    assert miss_rate_limit(missed, found, 0.05) == pytest.approx(exact, rel=1e-9)


def test_where_no_defect_was_found_again_nothing_limits_the_miss_rate():
    assert miss_rate_limit(0, 0, 0.05) == miss_rate_limit(4, 4, 0.05) == 1

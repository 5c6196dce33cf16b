"""Reviews that are left, and what other plans would have taken."""

import math

import pytest

from app.guarantee.labels import Claim, standing
from app.guarantee.outlook import claimed_test, fixed_plans, forecasts, outlook
from app.guarantee.plans import mean_draws
from app.guarantee.sequential import prior_for
from app.pipeline import AuditState
from tests.guarantee.labels import labelled

CLAIM = Claim(500, 0, 0.02, 0.05, prior_for(0.02))


def test_before_the_first_draw_every_row_may_be_a_defect() -> None:
    ahead = outlook(CLAIM, standing(CLAIM, []))

    assert (ahead.tolerance, ahead.upper_bound) == (10, 500)
    assert ahead.reviews_left == math.ceil(ahead.draws_left or 0) > 100


def test_what_was_read_early_need_not_be_read_again() -> None:
    in_order = labelled([False] * 30)

    waiting = outlook(CLAIM, standing(CLAIM, in_order[1:]))
    counted = outlook(CLAIM, standing(CLAIM, in_order))

    assert waiting.draws_left is not None
    assert waiting.reviews_left == math.ceil(waiting.draws_left) - 29
    assert counted.draws_left is not None
    assert counted.reviews_left == math.ceil(counted.draws_left)


def test_the_rest_of_the_census_is_to_be_read_too() -> None:
    with_census = CLAIM._replace(census_rows=40)

    ahead = outlook(with_census, standing(with_census, []))

    assert ahead.draws_left is not None
    assert ahead.reviews_left == math.ceil(ahead.draws_left) + 40


@pytest.mark.parametrize(
    ("defect", "state", "left"),
    [
        ([False] * 200, AuditState.CERTIFIED, 0),
        ([True] * 11, AuditState.FAILED, None),
        ([True] * 8, AuditState.OPEN, None),  # at this rate it would not pass
    ],
)
def test_what_has_ended_or_would_not_end_says_so(
    defect: list[bool], state: AuditState, left: int | None
) -> None:
    one = standing(CLAIM, labelled(defect))

    assert one.state == state
    assert outlook(CLAIM, one).reviews_left == left


def test_forecasts_are_the_exact_means_from_no_defects_to_half_of_what_is_tolerated() -> None:
    test = claimed_test(CLAIM)

    found = forecasts(test)

    assert [one.defects_in_lot for one in found] == [0, 1, 2, 5]
    assert [one.draws for one in found] == [mean_draws(test, number) for number in (0, 1, 2, 5)]


def test_fixed_plans_exist_as_far_as_defects_are_tolerated() -> None:
    assert [plan.defects_allowed for plan in fixed_plans(claimed_test(CLAIM))] == [0, 1, 2]
    assert [plan.defects_allowed for plan in fixed_plans(claimed_test(CLAIM._replace(rows=60)))] == [0, 1]

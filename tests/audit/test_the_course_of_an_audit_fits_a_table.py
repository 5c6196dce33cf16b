"""Thousands of draws as a table that people can read, without losing what happened."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.audit.course import MOST_POINTS, course
from app.guarantee.labels import Claim, standing
from app.guarantee.sequential import prior_for
from tests.guarantee.labels import labelled


@given(st.lists(st.booleans(), max_size=400))
def test_it_is_short_in_order_and_ends_with_the_last_draw(defect: list[bool]) -> None:
    one = standing(Claim(400, 0, 0.02, 0.05, prior_for(0.02)), labelled(defect))

    points = course(one)

    draws = [point.draw for point in points]
    assert draws == sorted(set(draws))
    assert len(points) <= MOST_POINTS
    assert draws[-1:] == ([len(defect)] if defect else [])
    for point in points:
        assert point.defects == sum(defect[: point.draw])
        assert point.upper_bound == one.upper_bounds[point.draw - 1]
    if sum(defect) <= MOST_POINTS // 2:
        assert set(np.flatnonzero(defect) + 1) <= set(draws)

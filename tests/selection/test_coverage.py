"""What the coverage page is told."""

import numpy as np
import pytest

from app.geometry.kcenter import k_center
from app.selection.coverage import Share, curve, shares


@pytest.fixture
def points():
    rows = np.random.default_rng(0).normal(size=(600, 8))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_the_curve_ends_at_the_radius_of_the_last_pick_and_never_rises(points):
    cover = k_center(points, 50, seed=0)

    drawn = curve(points, cover.chosen, seed=0)

    assert [drawn[0]["size"], drawn[-1]["size"]] == [1, 50]
    assert drawn[-1]["largest"] == pytest.approx(cover.radius[-1], abs=1e-5)
    for name in ("largest", "mean", "random_largest", "random_mean"):
        assert (np.diff([point[name] for point in drawn]) <= 0).all()


def test_picks_reach_a_smaller_largest_distance_than_a_random_choice(points):
    last = curve(points, k_center(points, 50, seed=0).chosen, seed=0)[-1]

    assert last["largest"] < last["random_largest"]


def test_choosing_everything_leaves_no_distance(points):
    last = curve(points[:5], k_center(points[:5], 5, seed=0).chosen, seed=0)[-1]

    assert last["largest"] == last["random_largest"] == 0


def test_shares_count_every_language_also_one_without_a_pick():
    assert shares(["go", "python", "python", "ruby"], ["python", "go"]) == [
        Share("python", 2, 1),
        Share("go", 1, 1),
        Share("ruby", 1, 0),
    ]

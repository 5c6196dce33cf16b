"""The picks of k-center: which rows, in which order, and how well they cover the others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.errors import InvalidInput
from app.geometry.kcenter import Cover, Matrix, canonical_dots, k_center


def unit(rows: np.ndarray) -> Matrix:
    rows = np.asarray(rows, dtype=np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def random_points(n: int, d: int, seed: int = 0) -> Matrix:
    return unit(np.random.default_rng(seed).normal(size=(n, d)))


def reference(points: Matrix, k: int, seed: int) -> Cover:
    """The definition: look at every pair, in canonical arithmetic, without any shortcut."""
    chosen = [int(np.random.default_rng(seed).integers(len(points)))]
    radius = []
    while True:
        nearest = np.max([canonical_dots(points, points[row]) for row in chosen], axis=0)
        nearest[chosen] = 2
        radius.append(max(0.0, 2 - 2 * nearest.min()) ** 0.5)
        if len(chosen) == k:
            return Cover(np.array(chosen), np.array(radius))
        chosen.append(int(np.flatnonzero(nearest == nearest.min())[0]))


# Few different coordinates make many exact ties; the first one keeps every row away from zero.
tied_points = (
    st.integers(1, 6)
    .flatmap(
        lambda d: arrays(np.int8, st.tuples(st.integers(1, 40), st.just(d)), elements=st.integers(-2, 2))
    )
    .map(lambda rows: unit(np.unique(unit(np.c_[np.ones(len(rows)), rows]), axis=0)))
)


@settings(max_examples=150, deadline=None)
@given(points=tied_points, seed=st.integers(0, 5), share=st.floats(0, 1))
def test_the_picks_are_those_of_the_plain_definition_also_with_ties(points, seed, share):
    k = max(1, round(share * len(points)))

    cover, expected = k_center(points, k, seed), reference(points, k, seed)

    assert cover.chosen.tolist() == expected.chosen.tolist()
    assert cover.radius.tolist() == expected.radius.tolist()


def test_the_picks_are_those_of_the_plain_definition_on_many_close_rows():
    rng = np.random.default_rng(3)
    points = unit(np.repeat(random_points(8, 64), 50, axis=0) + rng.normal(scale=1e-6, size=(400, 64)))

    assert k_center(points, 60, seed=1).chosen.tolist() == reference(points, 60, seed=1).chosen.tolist()


def test_the_chosen_rows_are_not_simply_the_first_ones():
    points = random_points(500, 16)

    assert set(k_center(points, 50, seed=0).chosen.tolist()) != set(range(50))


def test_the_seed_draws_the_first_centre():
    points = random_points(500, 16)

    firsts = {int(k_center(points, 1, seed).chosen[0]) for seed in range(20)}

    assert len(firsts) > 10


def test_the_same_seed_gives_the_same_picks():
    points = random_points(500, 16)

    assert k_center(points, 50, seed=7).chosen.tolist() == k_center(points, 50, seed=7).chosen.tolist()


def test_a_later_selection_continues_the_cover_of_an_earlier_one():
    points = random_points(300, 8)
    whole = k_center(points, 40, seed=2)

    rest = k_center(points, 25, seed=99, start=whole.chosen[:15].tolist())

    assert rest.chosen.tolist() == whole.chosen[15:].tolist()
    assert rest.radius.tolist() == whole.radius[15:].tolist()


def test_the_radius_is_the_distance_of_the_farthest_row_and_never_grows():
    points = random_points(300, 8)

    cover = k_center(points, 20, seed=0)

    distances = np.linalg.norm(points[:, None, :] - points[None, cover.chosen, :], axis=2).min(axis=1)
    assert cover.radius[-1] == pytest.approx(distances.max(), abs=1e-3)
    assert (np.diff(cover.radius) <= 0).all()


def test_choosing_every_row_leaves_no_distance():
    cover = k_center(random_points(12, 4), 12, seed=0)

    assert sorted(cover.chosen.tolist()) == list(range(12))
    assert cover.radius[-1] == 0


def spoiled(row: int, value: float) -> Matrix:
    points = random_points(10, 4)
    points[row] = value
    return points


@pytest.mark.parametrize(
    ("points", "k", "start", "message"),
    [
        (random_points(10, 4), 11, (), "only 10 rows can be chosen"),
        (random_points(10, 4), 8, (1, 2, 3), "only 7 rows can be chosen"),
        (random_points(10, 4), 0, (), "at least 1"),
        (random_points(10, 4), 2, (3, 3), "twice"),
        (random_points(10, 4), 2, (10,), "outside 0 to 9"),
        (spoiled(6, 0.0), 2, (), "row 6 is all zeros"),
        (spoiled(6, np.nan), 2, (), "row 6 holds a number that is not finite"),
        (spoiled(6, np.inf), 2, (), "row 6 holds a number that is not finite"),
        (spoiled(6, 2.0), 2, (), "row 6 has length 4, not 1"),
        (np.zeros((0, 4), np.float32), 1, (), "only 0 rows"),
        (np.ones(4, np.float32), 1, (), "shape"),
    ],
)
def test_unusable_input_is_refused_with_what_is_wrong(points, k, start, message):
    with pytest.raises(InvalidInput, match=message):
        k_center(points, k, seed=0, start=start)


def test_equal_rows_are_never_both_chosen():
    points = np.repeat(random_points(5, 4), 3, axis=0)

    cover = k_center(points, 5, seed=0)

    assert len({row // 3 for row in cover.chosen.tolist()}) == 5
    with pytest.raises(InvalidInput, match="only 5 different rows"):
        k_center(points, 6, seed=0)

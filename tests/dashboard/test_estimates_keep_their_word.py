"""The share of good instances, estimated from people's labels without and with the verdicts."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dashboard.agreement import wilson
from app.dashboard.estimates import FEWEST_UNITS, Level, estimates
from benchmarks.estimates import JUDGES, WITHIN, cover, generated, run


@st.composite
def some_level(draw: st.DrawFn) -> Level:
    instances = draw(st.integers(20, 5_000))
    labels = draw(st.integers(10, instances))
    return Level(draw(st.sampled_from([0.0, 0.5, 1.0])), instances, labels, draw(st.integers(0, labels)))


some_levels = st.lists(some_level(), min_size=2, max_size=4)


@given(some_levels, st.booleans())
def test_intervals_hold_their_figure_and_predictions_never_cost_labels(
    levels: list[Level], is_random: bool
) -> None:
    found = estimates(levels, is_random=is_random)

    assert found.weight is not None
    assert 0 <= found.weight <= 1
    for one in (found.people, found.powered):
        assert one.low is not None
        assert one.value is not None
        assert one.high is not None
        assert 0 <= one.low <= one.value + 1e-12
        assert one.value <= one.high + 1e-12 <= 1 + 2e-12
    assert found.powered.low is not None
    assert found.powered.high is not None
    low, high = wilson(found.powered.value or 0.0, found.powered.units)
    assert found.powered.high - found.powered.low <= high - low + 1e-12


@given(some_levels, st.sampled_from([0.0, 0.5, 1.0]), st.booleans())
def test_predictions_that_are_all_the_same_change_nothing(
    levels: list[Level], prediction: float, is_random: bool
) -> None:
    found = estimates([one._replace(prediction=prediction) for one in levels], is_random=is_random)

    assert found.weight == 0
    assert found.powered == found.people


@given(some_levels)
def test_where_everything_is_read_nothing_is_left_to_estimate(levels: list[Level]) -> None:
    found = estimates([one._replace(instances=one.labels) for one in levels], is_random=False)

    share = sum(one.good for one in levels) / sum(one.labels for one in levels)
    for one in (found.people, found.powered):
        assert (one.value, one.low, one.high) == pytest.approx((share, share, share))
    assert found.narrower is None


def test_the_verdicts_correct_for_what_was_read_first() -> None:
    """Half of what was read had failed, of all instances a tenth: 0.9 of those that pass are good, 0.2 of the others."""
    found = estimates([Level(1, 90_000, 5_000, 4_500), Level(0, 10_000, 5_000, 1_000)], is_random=False)

    assert found.people.value == 0.55
    assert found.powered.value == pytest.approx(0.9 * 0.9 + 0.1 * 0.2, abs=0.001)
    assert found.weight == pytest.approx(0.9 - 0.2, abs=0.001)
    assert found.narrower is not None
    assert found.narrower > 0.25


def test_a_judge_that_works_against_is_not_believed() -> None:
    found = estimates([Level(1, 900, 50, 10), Level(0, 100, 50, 40)], is_random=False)

    assert found.weight == 0
    assert found.powered == found.people


def test_a_random_sample_of_a_small_stock_says_more_than_as_many_of_a_large_one() -> None:
    levels = [Level(1, 60, 45, 40), Level(0, 40, 30, 5)]

    drawn, queued = (estimates(levels, is_random=is_random) for is_random in (True, False))

    for narrow, wide in zip(drawn[:2], queued[:2], strict=True):
        assert narrow.value == wide.value
        assert wide.low < narrow.low < narrow.high < wide.high


def test_a_judge_that_was_right_about_all_of_few_labels_still_leaves_a_doubt() -> None:
    found = estimates([Level(1, 500, 10, 10), Level(0, 500, 10, 0)], is_random=False)

    assert found.powered.value == 0.5
    assert found.powered.low is not None
    assert found.powered.low < 0.4


@pytest.mark.parametrize("good", [0, 30])
def test_labels_that_are_all_the_same_leave_an_interval_to_one_side(good: int) -> None:
    found = estimates([Level(1, 500, 15, good // 2), Level(0, 500, 15, good // 2)], is_random=False)

    assert found.powered == found.people
    assert (found.people.low, found.people.high) == pytest.approx(
        (0, 0.114) if not good else (0.886, 1), abs=5e-4
    )


def test_few_labels_get_no_figure() -> None:
    labels = FEWEST_UNITS - 1

    found = estimates([Level(1, 500, labels, labels)], is_random=True)

    assert (found.people.units, found.people.value, found.powered.value, found.weight) == (
        labels,
        None,
        None,
        None,
    )
    assert found.people.is_too_few
    assert found.narrower is None


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("judge", JUDGES)
def test_intervals_hold_the_truth_in_95_of_100_samples(judge: str, replace: bool) -> None:
    good, predicted = generated(0.8, *JUDGES[judge])

    covered = cover(good, predicted, 300, 400, replace=replace)

    margin = 0.02  # two standard errors of a share of 400
    for share in (covered.people, covered.powered):
        assert WITHIN[0] - margin < share < WITHIN[1] + margin
    assert covered.powered_width < covered.people_width * (0.65 if judge == "excellent" else 1.0001)


def test_the_benchmark_takes_grades_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "grades.jsonl"
    rows = [{"human_grades": {"ada": n % 5, "bob": 4}, "judge_score": n % 5 or None} for n in range(400)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    found = run(False, path)

    assert (found["rows"], found["share"], found["resamplings"]) == (400, 0.6, 1_000)
    assert list(found["judges"]) == ["judge: score", "judge: verdict"]
    assert found["judges"]["judge: score"]["narrower"] > 0.2


def test_the_benchmark_names_the_line_it_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "grades.jsonl"
    path.write_text('{"human_grades": {"ada": 3}}\n{"human_grades": {}}\n')

    with pytest.raises(SystemExit, match=r"grades\.jsonl: line 2 is not like"):
        run(False, path)

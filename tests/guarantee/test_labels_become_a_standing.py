"""From readings to labels, and from labels to what counts."""

import random
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.guarantee.labels import Claim, Labelled, Reading, label_of, standing
from app.guarantee.sequential import Test, certified_at, prior_for, upper_bounds
from app.pipeline import AuditState, Part

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
Labels = dict[int, bool]  # by position


def reading(defect: bool, new_revision: int | None = None, number: int = 1) -> Reading:
    return Reading(number, number, defect, "edit" if new_revision else "accept", new_revision, NOON)


def row(position: int, *said: Reading, part: Part = Part.RANDOM, **values: Any) -> Labelled:
    return Labelled(f"p-{position}", position, part, position, True, 0, said, **values)


def claim(rows: int, census: int = 0, rate: float = 0.05, alpha: float = 0.05) -> Claim:
    return Claim(rows, census, rate, alpha, prior_for(rate))


@pytest.mark.parametrize(
    ("readings", "adjudicated", "found_later", "label"),
    [
        ([False], None, False, False),
        ([True], None, False, True),
        ([False, False], None, False, False),
        ([False, True], None, False, True),
        ([True, False], None, False, True),
        ([False, True], False, False, False),
        ([True, False], True, False, True),
        ([False], None, True, True),
        ([True, False], False, True, True),
    ],
)
def test_a_label_is_the_first_reading_unless_a_rule_changes_it(
    readings: list[bool], adjudicated: bool | None, found_later: bool, label: bool
) -> None:
    assert label_of(readings, adjudicated, found_later) is label


def test_only_a_disagreement_waits_for_an_adjudicator() -> None:
    disputed = row(1, reading(False), reading(True))

    assert disputed.is_disputed
    assert not row(1, reading(True), reading(True)).is_disputed
    assert not disputed._replace(adjudicated=False).is_disputed
    assert not disputed._replace(found_later=True).is_disputed
    assert row(1, reading(False)).wants_second_reader
    assert not disputed.wants_second_reader


def test_a_release_takes_the_text_of_a_reader_whose_label_holds() -> None:
    polished, corrected = reading(False, 3), reading(True, 4, number=2)

    assert row(1, polished).corrected_by == 3
    assert row(1, polished, corrected).corrected_by == 4
    assert row(1, polished, corrected, adjudicated=False).corrected_by == 3
    later = row(1, polished, found_later=True)
    assert (later.corrected_by, later.is_removed) == (None, True)
    assert not row(1, reading(False)).is_removed


@given(
    st.integers(1, 60).flatmap(
        lambda rows: st.tuples(
            st.just(rows), st.dictionaries(st.integers(1, rows), st.booleans()), st.randoms()
        )
    )
)
def test_labels_count_in_draw_order_up_to_the_first_that_is_missing(
    case: tuple[int, Labels, random.Random],
) -> None:
    rows, labels, shuffled = case
    read = [row(position, reading(defect)) for position, defect in labels.items()]
    shuffled.shuffle(read)
    first_missing = next(position for position in range(1, rows + 2) if position not in labels)
    expected = np.array([labels[position] for position in range(1, first_missing)], dtype=np.bool_)
    test = Test(rows, 5 * rows // 100, 0.05, prior_for(0.05))

    found = standing(claim(rows), read)

    assert found.defect.tolist() == expected.tolist()
    assert found.early == len(labels) - len(expected)
    assert found.certified_at == certified_at(expected, test)
    assert found.upper_bounds.tolist() == upper_bounds(expected, test).tolist()
    if sum(labels.values()) > test.tolerance:
        assert found.state == AuditState.FAILED
    else:
        assert found.state == (AuditState.OPEN if found.certified_at is None else AuditState.CERTIFIED)


@given(st.integers(1, 40), st.sets(st.integers(1, 40)))
def test_a_lot_that_is_read_to_its_end_is_certified_or_failed(rows: int, defects: set[int]) -> None:
    read = [row(position, reading(position in defects)) for position in range(1, rows + 1)]

    found = standing(claim(rows, rate=0.2), read)

    kept = sum(position <= rows for position in defects) <= rows // 5
    assert found.state == (AuditState.CERTIFIED if kept else AuditState.FAILED)


def test_the_census_sets_the_tolerance_once_it_is_read_in_full() -> None:
    drawn = [row(position, reading(False)) for position in range(1, 40)]
    census = [
        row(1, reading(True), part=Part.CENSUS),  # removed
        row(2, reading(True, 5), part=Part.CENSUS),  # corrected
        row(3, reading(False), part=Part.CENSUS),
    ]

    half = standing(claim(40, 3), [*drawn, *census[:2]])
    whole = standing(claim(40, 3), [*drawn, *census])

    assert (half.tolerance, half.certified_at, half.state) == (None, None, AuditState.OPEN)
    assert (whole.census_read, whole.census_defects, whole.census_removed) == (3, 2, 1)
    assert whole.tolerance == 2  # a twentieth of 42 rows
    assert whole.state == AuditState.CERTIFIED

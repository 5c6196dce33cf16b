"""Cursors lead through a list once, whole, and cannot be made up."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.web.pagination import LARGEST_KEY, Window, cursor_of, cut, key_of


@given(st.integers(-LARGEST_KEY, LARGEST_KEY))
def test_a_cursor_stands_for_its_key(key: int) -> None:
    assert key_of(cursor_of(key)) == key


@given(st.text())
def test_what_was_made_up_is_refused_or_a_number(cursor: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert isinstance(key_of(cursor), int)


@pytest.mark.parametrize("key", [LARGEST_KEY + 1, "x", None, True, 1.5])
def test_a_cursor_of_another_kind_is_refused(key: object) -> None:
    with pytest.raises(InvalidInput):
        key_of(cursor_of(key))  # type: ignore[arg-type]


@given(st.sets(st.integers(1, 1000)), st.integers(1, 50))
def test_pages_together_are_the_list(keys: set[int], limit: int) -> None:
    rows, seen, after = sorted(keys), [], None
    while True:
        left = [row for row in rows if after is None or row > after]
        page, following = cut(left[: limit + 1], Window(after, limit), lambda row: row)
        seen += page
        if following is None:
            break
        after = key_of(following)

    assert seen == rows

"""Cursors lead through a list once, whole, and cannot be made up."""

import base64
import contextlib

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from app.errors import InvalidInput
from app.web.flash import FLASH_COOKIE
from app.web.opaque import opaque
from app.web.pagination import LARGEST_KEY, Window, cursor_of, cut, key_of
from tests.web.clients import visitor


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


@pytest.mark.parametrize(
    "written",
    [
        b"[" * 5_000,
        b'{"a":' * 1_000,
        b"[" + b"9" * 5_000 + b"]",
        b"[1e999]",
        b"[NaN]",
        b"[[1]]",
        b'{"a": 1}',
        b"null",
        b"[]",
        b'["\\ud800"]',
        b"\xff\xfe",
    ],
)
def test_whatever_json_stands_in_a_cursor_or_a_message_is_refused_or_ignored(
    app: FastAPI, session: Session, written: bytes
) -> None:
    made_up = base64.urlsafe_b64encode(written).decode()
    with pytest.raises(InvalidInput):
        key_of(made_up)
    browser = visitor(app)
    browser.cookies.set(FLASH_COOKIE, made_up)
    assert browser.get("/signin").status_code == 200


@pytest.mark.parametrize(
    "value", [["\ud800", "ok"], [[[]], "ok"], ["text", []], ["text", "ok", 1], "ok", {"a": "ok"}]
)
def test_a_message_that_is_none_of_ours_is_ignored(app: FastAPI, value: object) -> None:
    browser = visitor(app)
    browser.cookies.set(FLASH_COOKIE, opaque(value))

    assert browser.get("/signin").status_code == 200


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

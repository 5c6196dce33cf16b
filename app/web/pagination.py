"""Keyset pages: `{"items": [...], "next": cursor | null}`. A cursor is opaque to callers."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, NamedTuple, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from app.errors import InvalidInput

MOST_ITEMS = 500
LARGEST_KEY = 2**63 - 1  # what Postgres keeps in a bigint

Item = TypeVar("Item")
Row = TypeVar("Row")


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: str | None = Field(default=None, description="Ask again with `?cursor=` this; null: that was all")


class Window(NamedTuple):
    """Which part of a list is asked for: `limit` rows after the one with key `after` (None: the first)."""

    after: int | None
    limit: int


def window(
    cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = 50,
) -> Window:
    return Window(None if cursor is None else key_of(cursor), limit)


AskedWindow = Annotated[Window, Depends(window)]


def cut(rows: Sequence[Row], asked: Window, key: Callable[[Row], int]) -> tuple[list[Row], str | None]:
    """The rows of one page and the cursor of the next, from a query for `limit + 1` rows."""
    kept = list(rows[: asked.limit])
    return kept, cursor_of(key(kept[-1])) if len(rows) > asked.limit else None


def cursor_of(key: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([key]).encode()).decode().rstrip("=")


def key_of(cursor: str) -> int:
    """The key a cursor stands for; raises InvalidInput for anything that `cursor_of` did not make."""
    try:
        (key,) = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        key = None
    if type(key) is not int or not -LARGEST_KEY <= key <= LARGEST_KEY:
        raise InvalidInput("this cursor is not one that a page before gave", "cursor")
    return key

"""Pages of a list by key, so that the last page costs what the first does. Pure."""

from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

_Query = TypeVar("_Query", bound=Select[*tuple[Any, ...]])


def newest_first(query: _Query, key: InstrumentedAttribute[int], before: int | None, limit: int) -> _Query:
    """`limit` rows from the newest on; from the next older one than `before`, the last that was seen."""
    newest = query.order_by(key.desc()).limit(limit)
    return newest if before is None else newest.where(key < before)

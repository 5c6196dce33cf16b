"""Looking for a word in texts of the tables. Pure."""

from typing import Any

from sqlalchemy import ColumnElement, or_


def contains(word: str, *columns: Any) -> ColumnElement[bool]:
    """`word` anywhere in one of the columns, its own % and _ meant literally."""
    literal = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return or_(*(column.ilike(f"%{literal}%") for column in columns))

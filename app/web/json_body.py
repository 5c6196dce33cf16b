"""A request's JSON, refused while that is cheap: checking half a million values takes seconds, and telling them, too."""

import json
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

MOST_VALUES = 20_000
MOST_DEPTH = 50
MOST_MARKS = 400_000  # commas and brackets, those in texts included: three texts of the longest have fewer


class JsonRequest(Request):
    """What FastAPI reads a body from; its JSON is small and shallow."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json: Any = modest_json(await self.body())
        return self._json


def modest_json(body: bytes) -> Any:
    """The value of a body. Raises HTTPException for too much of it, ValueError or RecursionError for what is no JSON."""
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_MARKS:
        raise _too_much()
    value = json.loads(body)
    left = MOST_VALUES
    level = [value]
    for _ in range(MOST_DEPTH):
        left -= len(level)
        if left < 0:
            raise _too_much()
        level = [inner for one in level for inner in _values_in(one)]
        if not level:
            return value
    raise _too_much()


def _values_in(value: Any) -> Any:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


def _too_much() -> HTTPException:
    return HTTPException(422, f"JSON may have at most {MOST_VALUES:,} values, at most {MOST_DEPTH} deep")

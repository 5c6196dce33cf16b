"""The keys of a record of a finished set. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.ingestion.decoding import Refused, text_in


class Parts(NamedTuple):
    """What a format's reader found in a record."""

    instruction: str
    information: str
    solution: str
    own: Mapping[str, Any]  # where the row may name its task, language, licence and generator
    rest: Mapping[str, Any]  # everything that is not one of the three texts
    external_id: Any


def required(record: Mapping[str, Any], *names: str) -> str:
    """The text under the first of these keys that is there. Raises Refused, also for anything but text."""
    name = next((name for name in names if record.get(name) is not None), None)
    if name is None:
        there = ", ".join(map(repr, list(record)[:12])) or "none"
        raise Refused("missing_field", f"no key {' or '.join(names)}; there are {there}")
    return text_in(name, record[name])


def optional(record: Mapping[str, Any], *names: str) -> str:
    """Like `required`, but "" where none of the keys is there."""
    return required(record, *names) if any(record.get(name) is not None for name in names) else ""

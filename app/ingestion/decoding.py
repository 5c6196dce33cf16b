"""JSON and texts from outside, or the refusal that says what is wrong with them. Pure."""

import json
import reprlib
from collections.abc import Mapping
from typing import Any, cast

from app.ingestion.rows import ODD, Refusal, refusal


class Refused(Exception):
    """A row that is not taken: which rule, and why."""

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(rule, why)
        self.rule, self.why = rule, why


def decoded(raw: bytes, file: str, line: int) -> Any | Refusal:
    """What one line of JSON holds."""
    excerpt = raw[:1200].decode("utf-8", "replace")
    if b"\0" in raw:
        return refusal("nul_character", file, line, excerpt, "a NUL byte, as in UTF-16 text")
    try:
        return json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        why = f"byte {error.start + 1} of the line (0x{raw[error.start]:02x}) is not UTF-8"
        return refusal("bad_encoding", file, line, excerpt, why)
    except json.JSONDecodeError as error:
        why = f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
        return refusal("broken_line", file, line, excerpt, why)
    except RecursionError as error:
        return refusal("broken_line", file, line, excerpt, f"it is nested too deeply ({error})")
    except ValueError as error:  # a number of 5,000 digits
        return refusal("broken_line", file, line, excerpt, str(error))


def as_object(value: Any, file: str, line: int) -> Mapping[str, Any] | Refusal:
    """A decoded value as an object with named fields."""
    if isinstance(value, dict):
        return cast(Mapping[str, Any], value)
    return refusal("not_an_object", file, line, reprlib.repr(value), f"it is {in_words(value)}")


def refused_row(refused: Refused, fields: Mapping[str, Any], file: str, line: int) -> Refusal:
    try:
        excerpt = json.dumps(fields, ensure_ascii=False, default=repr)
    except ODD:  # decoding goes one level deeper than writing
        excerpt = reprlib.repr(fields)
    return refusal(refused.rule, file, line, excerpt, refused.why)


def unreadable(error: Exception, file: str, line: int | None) -> Refusal:
    """The refusal of a row or a file over which a parser failed."""
    return refusal("unreadable", file, line, "", f"{type(error).__name__}: {error}")


def text_in(name: str, value: Any) -> str:
    """The text of a field. Raises Refused for anything else, and for a text that cannot be stored."""
    if not isinstance(value, str):
        raise Refused("wrong_type", f"the field {name} holds {in_words(value)}, not text")
    if "\0" in value:
        raise Refused("nul_character", f"character {value.index(chr(0)) + 1} of the field {name}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = value[error.start]
        what = "is not UTF-8" if "\udc80" <= half <= "\udcff" else "is half of a surrogate pair"
        raise Refused("bad_encoding", f"character {error.start + 1} of the field {name} {what}") from error
    return value


_WORDS = {
    "NoneType": "nothing",
    "bool": "true or false",
    "dict": "an object",
    "float": "a number",
    "int": "a number",
    "list": "a list",
    "str": "text",
}


def in_words(value: object) -> str:
    """What a value of JSON or Parquet is, for people."""
    kind = type(value).__name__
    return _WORDS.get(kind, kind)

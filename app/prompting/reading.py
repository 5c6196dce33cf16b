"""What a reply says, or why it says nothing. Pure."""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import json_repair

from app.errors import Unparsable
from app.prompting.prompt import Reply

_MOST_CHARACTERS = 100_000  # beyond any answer that was asked for
_MOST_OBJECTS = 100  # opening braces looked at among prose
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*(?:"|(?P<open>\Z))|[{}]', re.DOTALL)

REPAIRED = "repaired_json"  # the mark on a call whose reply had to be mended


class Found(NamedTuple):
    """The object of a reply; `repaired` when its JSON had to be mended first."""

    value: dict[str, Any]
    repaired: bool


def usable_text(reply: Reply) -> str:
    """The text of a whole answer.

    Raises Unparsable with the code `refused`, `content_filter`, `cut_off` or `empty`.
    """
    if reply.refusal:
        raise Unparsable(f"the model refused: {reply.refusal[:200]}", "refused", is_final=True)
    if reply.finish_reason == "content_filter":
        raise Unparsable("the provider's content filter stopped the reply", "content_filter", is_final=True)
    if reply.finish_reason == "length":
        raise Unparsable("the reply was cut off at the most tokens it may have; be shorter", "cut_off")
    if not reply.text.strip():
        raise Unparsable("the reply was empty", "empty")
    return reply.text


def read_json(text: str, keys: Collection[str]) -> Found:
    """The one JSON object in `text`, which was asked to have `keys`.

    A text that is an object as a whole is taken as it is; next an object with any of `keys`, in whatever case,
    among prose or in a fence; last such an object that had to be mended. What it lacks the caller sees.
    Raises Unparsable for none, for two that differ, for a key that comes twice, and as `cut_off` for an object
    that has no end: mending would pass a half solution for a whole one.
    """
    wanted = {key.lower() for key in keys}
    if len(text) > _MOST_CHARACTERS:
        raise Unparsable(f"the reply has {len(text):,} characters, more than {_MOST_CHARACTERS:,}")
    whole = _decoded(text.strip())
    if whole is not None:
        return Found(whole, repaired=False)
    among_prose = [value for value in _objects_in(text) if _has_any(value, wanted)]
    if among_prose:
        if any(value != among_prose[0] for value in among_prose):
            raise Unparsable("the reply holds two different answers")
        return Found(among_prose[0], repaired=False)
    return Found(_mended(text, wanted), repaired=True)


def plain_text(value: object, key: str) -> str:
    """`value` as text that a database can keep. Raises Unparsable naming `key`."""
    if not isinstance(value, str):
        raise Unparsable(f"{key} must be a string")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise Unparsable(f"{key} holds a character that is not text")
    return value


def _decoded(text: str) -> dict[str, Any] | None:
    try:
        value: Any = json.loads(text, object_pairs_hook=_without_repeats)
    except (json.JSONDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _objects_in(text: str) -> Iterator[dict[str, Any]]:
    """The outermost objects among other text."""
    decoder = json.JSONDecoder(object_pairs_hook=_without_repeats)
    start = text.find("{")
    for _ in range(_MOST_OBJECTS):
        if start < 0:
            return
        try:
            value, end = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            end = start + 1
        else:
            yield value
        start = text.find("{", end)


def _mended(text: str, wanted: set[str]) -> dict[str, Any]:
    start = text.find("{")
    if start < 0:
        raise Unparsable("the reply holds no JSON object")
    if not _has_an_end(text[start:]):
        raise Unparsable("the reply's JSON breaks off", "cut_off")
    try:
        value: Any = json_repair.loads(text[start:], skip_json_loads=True)
    except (ValueError, RecursionError) as error:
        raise Unparsable("the reply's JSON cannot be read") from error
    if not isinstance(value, dict) or not _has_any(value, wanted):
        raise Unparsable("the reply's JSON cannot be read")
    return {str(key): content for key, content in value.items()}


def _has_any(value: dict[str, Any], wanted: set[str]) -> bool:
    return any(str(key).lower() in wanted for key in value)


def _has_an_end(text: str) -> bool:
    """Whether the object that `text` begins with is closed, outside of any string."""
    depth = 0
    for token in _STRUCTURE.finditer(text):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return True
        if token["open"] is not None:
            return False
    return False


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise Unparsable("the reply gives the same key twice")
    return value

"""Where in a reply its answer stands: after thoughts, among prose, in a wrapper, encoded twice. Pure.

Nothing here changes what the answer says; `app.prompting.mending` does, and says so.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from app.errors import Unparsable

ESCAPED_OBJECT = '{\\"'  # how the inside of a JSON string begins that holds an object

_MOST_OBJECTS = 100  # opening braces looked at among prose
_DEEPEST_WRAPPER = 5
_LONGEST_KEY = 100  # characters, with what stands between it and its colon
_UNSEEN = (
    " \t\r\n\ufeff\u200b\u200e\u2060"  # around an answer: blanks, marks of the byte order and of nothing
)

_ENDS_OF_THOUGHT = {  # as the servers' own parsers know them, by how a thought begins
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "◁think▷": "◁/think▷",
    "[THINK]": "[/THINK]",
    "<|START_THINKING|>": "<|END_THINKING|>",
}
_FINAL_WORD = re.compile(r"<\|channel\|>\s*final.{0,40}?<\|message\|>|assistantfinal(?=\s*[{\[`])", re.DOTALL)
# A brace that opens an object, however badly written, and not a block of code or a {placeholder}.
_OPENS_AN_OBJECT = re.compile(r"""\{\s*(?:["'“‘`]|\w+["']?\s*:)""")
# After an object that was closed too early, by a quote of the code that nobody escaped: the rest of the code, or
# of the object.
_GOES_ON = re.compile(r"""[^\s`<>{}\[\])*.,;|?!]|[ \t}\])]{0,1000}+(?:,\s{0,1000}+)?(?:["'”’]|`(?!``))""")
_ENDS_AGAIN = re.compile(r'"\s*}')
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\(?:.|\Z))*+(?:"|(?P<open>\Z))|[{}]', re.DOTALL)
_NO_LETTERS = re.compile(r"[\W_]+")
_COLON = re.compile("[:：]")
_NO_KEY = re.compile(r"[^\w\\*\- ]")
_QUOTED_KEY = re.compile(r"""["'“”`]([^"'“”`\n]{1,80})["'“”`]\s*[:：]""")
_FENCED = re.compile(r"\A\s*```\w*\s(.*?)```\s*\Z", re.DOTALL)


class Piece(NamedTuple):
    """An outermost object in a text. `value` is None where it is no JSON; `end` where it has none."""

    start: int
    end: int | None
    value: dict[str, Any] | None


class Held(NamedTuple):
    """An object with the wanted keys; `encoded`: it stood in a string, as text."""

    value: dict[str, Any]
    encoded: bool


def fold(name: str) -> str:
    """A key however it is spelled: `Task Name`, `taskName`, `task\\_name` and `**task_name**` are `task_name`."""
    return _NO_LETTERS.sub("", name).lower()


def bare(text: str) -> str:
    """Without what cannot be seen before and after it."""
    return text.strip(_UNSEEN)


def without_thoughts(text: str, wanted: Collection[str]) -> str:
    """What a reasoning model says after it has thought. Without thoughts it is `text`.

    The tag that opens a thought may be missing: some chat templates write it into the prompt. Then a closing tag
    ends a thought only where no object with the `wanted` keys stands before it; else a model that has answered
    may be quoting one. Raises Unparsable as `empty` where there are only thoughts.
    """
    final = list(_FINAL_WORD.finditer(text))
    if final and not _is_after_an_answer(text, final[-1].start(), wanted):
        return text[final[-1].end() :]
    rest = bare(text)
    while begin := next((tag for tag in _ENDS_OF_THOUGHT if rest.startswith(tag)), None):
        thought, end, rest = rest[len(begin) :].partition(_ENDS_OF_THOUGHT[begin])
        rest = bare(rest)
        if not end and _decoded(bare(thought)) is not None:
            return thought  # servers misfile whole answers as thoughts
        if not rest:
            raise Unparsable("the reply holds thoughts and no answer", "empty")
    for end in _ENDS_OF_THOUGHT.values():
        place = rest.find(end)
        if place >= 0 and not _is_after_an_answer(rest, place, wanted):
            return rest[place + len(end) :]
    return rest


def decoded(text: str) -> object | None:
    """The value that `text` is as a whole: strict JSON, also where it was encoded once more. None for any other.

    Raises Unparsable where one object gives a key twice.
    """
    value = _decoded(text)
    if value is None and text.startswith(ESCAPED_OBJECT):
        value = _decoded(f'"{text}"')
    return value


def held_in(value: object, wanted: Collection[str], depth: int = 0) -> Iterator[Held]:
    """The outermost objects in `value` that have any of the `wanted` keys, which are folded."""
    if depth > _DEEPEST_WRAPPER:
        return
    if isinstance(value, dict):
        if has_any(value, wanted):
            yield Held(value, encoded=False)
            return
        inside = list(value.values())
    elif isinstance(value, list):
        inside = value
    elif isinstance(value, str):
        for held in held_in(_decoded(_unfenced(value)), wanted, depth + 1):
            yield held._replace(encoded=True)
        return
    else:
        return
    for one in inside:
        yield from held_in(one, wanted, depth + 1)


def pieces_of(text: str) -> Iterator[Piece]:
    """The outermost objects of a text, whole and broken ones in order.

    What stands inside a broken object is never looked at: it may be a quotation, and pass for the answer.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_without_repeats)
    start = text.find("{")
    for _ in range(_MOST_OBJECTS):
        if start < 0:
            return
        piece = _piece_at(text, start, decoder)
        if piece is not None:
            yield piece
            if piece.end is None:
                return
        start = text.find("{", start + 1 if piece is None else piece.end)


def _piece_at(text: str, start: int, decoder: json.JSONDecoder) -> Piece | None:
    """None where the brace opens no object, but a block of code or a {placeholder}."""
    try:
        value, end = decoder.raw_decode(text, start)
    except (ValueError, RecursionError):
        if not _OPENS_AN_OBJECT.match(text, start):
            return None
        value, end = None, _end_of(text, start)
    if end is not None and _goes_on(text, end) and text[start - 1 : start] not in ("'", '"'):
        return Piece(start, text.rfind("}") + 1, None)
    return Piece(start, end, value)


def _goes_on(text: str, end: int) -> bool:
    """Whether an object that ends there was meant to: it may be closed once more before another one opens."""
    if _GOES_ON.match(text, end):
        return True
    opening = text.find("{", end)
    return _ENDS_AGAIN.search(text, end, len(text) if opening < 0 else opening) is not None


def has_any(value: Mapping[str, Any], wanted: Collection[str]) -> bool:
    return any(fold(str(key)) in wanted for key in value)


def names_any(text: str, wanted: Collection[str]) -> bool:
    """Whether any of the `wanted` keys, which are folded, stands before a colon."""
    for colon in _COLON.finditer(text):
        before = text[max(0, colon.start() - _LONGEST_KEY) : colon.start()].rstrip(" \t\r\n\"'”’`*")
        if fold(_NO_KEY.split(before)[-1]) in wanted:
            return True
    return False


def quotes_any(text: str, wanted: Collection[str]) -> bool:
    """Whether any of the `wanted` keys, which are folded, stands in quotes before a colon, as in an object."""
    return any(fold(found[1]) in wanted for found in _QUOTED_KEY.finditer(text))


def _decoded(text: str) -> object | None:
    try:
        value: object = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):  # ValueError: no JSON, or a number of more digits than Python reads
        return None
    return value


def _unfenced(text: str) -> str:
    found = _FENCED.match(text)
    return bare(found[1] if found else text)


def _is_after_an_answer(text: str, place: int, wanted: Collection[str]) -> bool:
    """Whether an answer stands before `place`, or is open there: whole or broken."""
    return any(
        piece.start < place < (piece.end or len(text)) or next(held_in(piece.value, wanted), None) is not None
        for piece in pieces_of(text)
        if piece.start < place
    )


def _end_of(text: str, start: int) -> int | None:
    """Where the brace at `start` is closed, outside of any string; None where it is not."""
    depth = 0
    for token in _STRUCTURE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
        if token["open"] is not None:
            return None
    return None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise Unparsable("the reply gives the same key twice")
    return value

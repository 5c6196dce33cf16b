"""JSON that is broken, mended by a kept library, and a check that nothing it says was lost on the way. Pure.

The library guesses. A guess is good enough for a quote, a comma or an escape, and for nothing else: every key and
value has to stand in the raw text as it is, between its own quotes, with only punctuation around it.
"""

import json
import re
from typing import Any, Self, SupportsIndex

import json_repair

from app.errors import Unparsable

_CLOSE = {'"': '"', "'": "'", "“": "”“", "‘": "’‘", "`": "`"}  # by the quote that opens
_BLANK = re.compile(r"\s*")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\"'\\/bfnrt]))")
_HALF_ESCAPE = re.compile(r"\\[ux]")  # of a character that is lost
_TRAILING = re.compile(r"(?:\s|\\[nrt])*")  # the library drops blanks at the end of a string
_STRUCTURE = re.compile(
    r"\s{0,100}+[:,}\]\s]"
)  # after a quote: more likely the end of a string than a quote in one
_APOSTROPHE = re.compile(r"[^\W\d_]['’‘][^\W\d_]")
_WORD = re.compile(r"[\w+.\-]+")
_LOOKS, _LOOKS_AT_A_CHARACTER = 300_000, 10  # replies that were seen take four for each character
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS = {"true": True, "false": False, "null": None, "none": None}


def mended(text: str, *, has_an_end: bool) -> dict[str, Any]:
    """The object that the broken `text`, from its opening to its last brace, stands for.

    `has_an_end`: its quotes and braces go together. Where they do not, it may be cut off, and a quote in a value
    may be the one that ends it: then each has to be escaped.
    Raises Unparsable where it cannot be mended by punctuation alone.
    """
    value = _guess(text)
    try:
        if isinstance(value, dict) and _Raw(text, may_quote=has_an_end).says(value):
            return value
    except (ValueError, RecursionError) as error:
        raise Unparsable("the reply's JSON cannot be read") from error
    raise Unparsable("the reply's JSON is broken, and mending it would change what it says")


def _guess(text: str) -> Any:
    """What the library takes `text` for. Raises Unparsable, also for what takes it too long."""
    try:
        return json_repair.loads(_Metered(text), skip_json_loads=True)
    except Exception as error:
        raise Unparsable("the reply's JSON cannot be read") from error


class _Metered(str):
    """A text of which so many characters may be looked at: the library may look at each of them once for each other."""

    __slots__ = ("_left",)

    def __new__(cls, text: str) -> Self:
        metered = super().__new__(cls, text)
        metered._left = _LOOKS + _LOOKS_AT_A_CHARACTER * len(text)
        return metered

    def __getitem__(self, place: SupportsIndex | slice) -> str:
        found = super().__getitem__(place)
        self._left -= len(found) or 1
        if self._left < 0:
            raise ValueError("looked at too often")
        return found


class _Raw:
    """A reading head over the raw text, led by the value that it is said to hold."""

    def __init__(self, text: str, *, may_quote: bool) -> None:
        self._text = text
        self._at = 0
        self._may_quote = may_quote

    def says(self, value: dict[str, Any]) -> bool:
        """Whether all of the text, and nothing else, is `value`."""
        if not self._object(value):
            return False
        self._skip(_BLANK)
        return self._at == len(self._text)

    def _object(self, value: dict[str, Any]) -> bool:
        if not self._take("{"):
            return False
        for key, content in value.items():
            if not (self._string(key, may_be_bare=True) and self._take(":") and self._value(content)):
                return False
            self._take(",")
        return self._take("}")

    def _list(self, value: list[Any]) -> bool:
        if not self._take("["):
            return False
        for content in value:
            if not self._value(content):
                return False
            self._take(",")
        return self._take("]")

    def _value(self, value: object) -> bool:
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            return self._list(value)
        return self._string(value, may_be_bare=True) if isinstance(value, str) else self._literal(value)

    def _literal(self, value: object) -> bool:
        self._skip(_BLANK)
        found = _WORD.match(self._text, self._at)
        if found is None:
            return False
        self._at = found.end()
        word = found[0].lower()
        if word in _LITERALS:
            return _LITERALS[word] is value
        return isinstance(value, int | float) and json.loads(word) == value

    def _string(self, value: str, *, may_be_bare: bool) -> bool:
        self._skip(_BLANK)
        close = _CLOSE.get(self._text[self._at : self._at + 1])
        if close is None:
            return may_be_bare and _WORD.fullmatch(value) is not None and self._take(value)
        self._at += 1
        quotes = 0
        for one in value:
            if one in close and self._is_a_quote():
                quotes += 1
                if _STRUCTURE.match(self._text, self._at + 1):
                    return False
            if not self._character(one):
                return False
        self._skip(_TRAILING)
        if quotes % 2 or (quotes and not self._may_quote):
            return False
        if self._at >= len(self._text) or self._text[self._at] not in close:
            return False
        self._at += 1
        return True

    def _is_a_quote(self) -> bool:
        """Whether what stands here unescaped may end a string, and is no apostrophe in a word."""
        around = self._text[self._at - 1 : self._at + 2]
        return around[1:2] != "\\" and not _APOSTROPHE.fullmatch(around)

    def _character(self, one: str) -> bool:
        """`one` as it is or escaped. A backslash that escapes nothing stands for itself."""
        found = _ESCAPE.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
            hexadecimal = found[1] or found[2]
            return one == (chr(int(hexadecimal, 16)) if hexadecimal else _SHORT.get(found[3], found[3]))
        if not self._text.startswith(one, self._at) or _HALF_ESCAPE.match(self._text, self._at):
            return False
        self._at += 1
        return True

    def _take(self, word: str) -> bool:
        self._skip(_BLANK)
        if not self._text.startswith(word, self._at):
            return False
        self._at += len(word)
        return True

    def _skip(self, blank: re.Pattern[str]) -> None:
        found = blank.match(self._text, self._at)
        self._at = found.end() if found else self._at

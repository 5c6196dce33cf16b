"""What a reply says, or why it says nothing. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from app.errors import Unparsable
from app.prompting.answers import (
    ESCAPED_OBJECT,
    Held,
    Piece,
    bare,
    decoded,
    fold,
    has_any,
    held_in,
    names_any,
    pieces_of,
    quotes_any,
    without_thoughts,
)
from app.prompting.mending import mended
from app.prompting.prompt import Reply

_MOST_CHARACTERS = 100_000  # beyond any answer that was asked for
_MOST_PROSE = 1_000  # characters of a refusal; a longer text without an object is something else

# As providers say it, in lower case and without what stands before a dot: `FinishReason.MAX_TOKENS`.
_TOO_LONG = {
    "length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded",
}  # fmt: skip
_BROKEN_OFF = {"abort", "error", "insufficient_system_resource"}
_FILTERED = {
    "content_filter", "content_filtered", "guardrail_intervened", "safety", "recitation", "blocklist",
    "prohibited_content", "spii", "sensitive",
}  # fmt: skip
_REFUSAL = re.compile(
    r"(?:(?:i(?:'|’)m |i am )?(?:very |so |really )?sorry\b|(?:unfortunately,? )?i (?:can(?:no|')?t|can’t|am unable|"
    r"(?:must|have to) (?:decline|refuse)|won(?:'|’)t|will not|do not feel)\b|i(?:'|’)m (?:unable|not able)\b|"
    r"as an ai\b|抱歉|对不起|很抱歉|我无法|申し訳|lo siento|es tut mir leid|je suis désolé|desculpe|извините)",
    re.IGNORECASE,
)

REPAIRED = "repaired_json"  # the mark on a call whose reply had to be mended
READ_LOOSELY = "read_loosely"  # on a call whose reply was not as asked, and says the same all the same


class Mark(StrEnum):
    """How a reply that could be read is not what was asked for. None: exactly the object, with exactly the keys."""

    AROUND = "text around the object"
    TWICE = "the same answer twice"
    WRAPPED = "in a list or under a key"
    ENCODED = "encoded as text"
    MENDED = "broken JSON, mended"
    RESPELLED = "keys spelled otherwise"
    REWORDED = "values spelled otherwise"
    EXTRA = "keys that were not asked for"
    UNREASONED = "answers without a reason"
    UNCLAIMED = "no overall answer"


class Found(NamedTuple):
    """The object of a reply, and how it differs from what was asked for."""

    value: dict[str, Any]
    marks: tuple[Mark, ...] = ()


class Named(NamedTuple):
    """The values of an object by the names that were asked for, and what else is there."""

    asked: dict[str, Any]
    extra: dict[str, Any]
    marks: tuple[Mark, ...]


def usable_text(reply: Reply) -> str:
    """The text of a whole answer.

    Raises Unparsable with the code `refused`, `content_filter`, `cut_off` or `empty`.
    """
    reason = reply.finish_reason.rpartition(".")[2].strip().lower()
    if reply.refusal or reason == "refusal":
        words = (reply.refusal or reply.text)[:200]
        raise Unparsable(f"the model refused: {words}", "refused", is_final=True)
    if reason in _FILTERED:
        raise Unparsable("the provider's content filter stopped the reply", "content_filter", is_final=True)
    if reason in _TOO_LONG:
        raise Unparsable("the reply was cut off at the most tokens it may have; be shorter", "cut_off")
    if reason in _BROKEN_OFF:
        raise Unparsable(f"the provider broke the reply off: {reason}", "cut_off")
    if not bare(reply.text):
        raise Unparsable("the reply was empty", "empty")
    return reply.text


def read_json(text: str, keys: Collection[str]) -> Found:
    """The one JSON object in `text`, which was asked to have `keys`.

    A text that is an object as a whole is taken as it is; next an object with any of `keys`, however spelled,
    after thoughts, among prose, in a fence, a list or a wrapper; last such an object that had to be mended. What
    it lacks the caller sees. Raises Unparsable for none, for two that differ, for a key that comes twice; as
    `refused` for an apology; and as `cut_off` for an object that has no end: mending would pass a half solution
    for a whole one.
    """
    wanted = {fold(key) for key in keys}
    if len(text) > _MOST_CHARACTERS:
        raise Unparsable(f"the reply has {len(text):,} characters, more than {_MOST_CHARACTERS:,}")
    value = decoded(bare(text))
    if isinstance(value, str) and len(value) < len(text):  # all of it as one JSON string
        found = read_json(value, keys)
        return found._replace(marks=(Mark.ENCODED, *found.marks))
    whole = _whole(text, wanted)
    if whole is not None:
        return whole
    rest = without_thoughts(text)
    whole = _whole(rest, wanted) if rest != text else None
    if whole is not None:
        return whole._replace(marks=tuple(dict.fromkeys((Mark.AROUND, *whole.marks))))
    return _among_other_text(rest, wanted)


def named(value: Mapping[str, Any], names: Collection[str]) -> Named:
    """`value` sorted by `names`, whose spelling is forgiven. What is missing the caller sees.

    Raises Unparsable for two keys that are spelled differently and mean the same.
    """
    by_fold = {fold(name): name for name in names}
    asked: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, content in value.items():
        name = by_fold.get(fold(key))
        if name is None:
            extra[key] = content
        elif name in asked:
            raise Unparsable(f"the reply gives {name} twice")
        else:
            asked[name] = content
    marks = (Mark.RESPELLED,) if any(name not in value for name in asked) else ()
    return Named(asked, extra, marks)


def plain_text(value: object, key: str) -> str:
    """`value` as text that a database can keep. Raises Unparsable naming `key`."""
    if not isinstance(value, str):
        raise Unparsable(f"{key} must be a string")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise Unparsable(f"{key} holds a character that is not text")
    return value


def how_read(marks: Collection[Mark]) -> tuple[str | None, str | None]:
    """What stands on the call: a code and its detail; nothing for a reply that is just as asked."""
    if not marks:
        return None, None
    return REPAIRED if Mark.MENDED in marks else READ_LOOSELY, "; ".join(marks)


def _whole(text: str, wanted: Collection[str]) -> Found | None:
    """The object of a text that is JSON from its first to its last character."""
    inside = bare(text)
    value = decoded(inside)
    if not isinstance(value, dict | list):
        return None
    marks = [Mark.AROUND] if inside != text.strip() else []
    if isinstance(value, dict) and has_any(value, wanted):
        return Found(value, (*marks, Mark.ENCODED) if inside.startswith(ESCAPED_OBJECT) else tuple(marks))
    held = list(held_in(value, wanted))
    if held:
        return _only(held, [*marks, Mark.WRAPPED])
    return Found(value) if isinstance(value, dict) else None


def _among_other_text(text: str, wanted: Collection[str]) -> Found:
    pieces = list(pieces_of(text))
    broken = [piece for piece in pieces if piece.value is None]
    answers = [piece for piece in broken if names_any(text[piece.start : piece.end], wanted)]
    whole = [piece.value for piece in pieces if piece.value is not None]
    held = [Held(value, encoded=False) for value in whole if has_any(value, wanted)]
    marks = [Mark.AROUND]
    if not held:
        held = [one for value in whole for one in held_in(value, wanted)]
        marks.append(Mark.WRAPPED)
    is_open = any(piece.end is None for piece in broken)
    goes_on = quotes_any(_outside(text, pieces), wanted)
    if held and not (answers or is_open or goes_on):
        return _only(held, marks)
    if held or len(answers) > 1 or (answers and goes_on):
        raise Unparsable("the reply holds more than one answer, or one that ends twice")
    if answers:
        return _mended(text, answers[0])
    if is_open:
        raise Unparsable("the reply's JSON breaks off", "cut_off")
    if not pieces and len(text) <= _MOST_PROSE and _REFUSAL.match(bare(text)):
        raise Unparsable(f"the model refused: {bare(text)[:200]}", "refused")
    raise Unparsable("the reply holds no JSON object with what was asked for")


def _outside(text: str, pieces: Sequence[Piece]) -> str:
    starts = [piece.start for piece in pieces]
    ends = [len(text) if piece.end is None else piece.end for piece in pieces]
    return "\n".join(text[end:start] for end, start in zip([0, *ends], [*starts, len(text)], strict=True))


def _mended(text: str, piece: Piece) -> Found:
    end = text.rfind("}") + 1 if piece.end is None else piece.end
    try:
        value = mended(text[piece.start : end], has_an_end=piece.end is not None)
    except Unparsable as error:
        if piece.end is None:
            raise Unparsable("the reply's JSON breaks off", "cut_off") from error
        raise
    is_all = bare(text[: piece.start] + text[end:]) == ""
    return Found(value, (Mark.MENDED,) if is_all else (Mark.AROUND, Mark.MENDED))


def _only(held: list[Held], marks: list[Mark]) -> Found:
    """Raises Unparsable where they differ."""
    value, encoded = held[0]
    if any(one.value != value for one in held):
        raise Unparsable("the reply holds two different answers")
    twice = [Mark.TWICE] if len(held) > 1 else []
    return Found(value, (*marks, *([Mark.ENCODED] if encoded else []), *twice))

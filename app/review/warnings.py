"""What a reader is warned of: texts that may be meant for a model, and replies that had to be mended. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from app.prompting.suspicion import Reason, warnings_about
from app.review.judgement import Text
from app.review.shapes import WarningShape

MENDED = "mended_reply"

_IN_WORDS: dict[str, str] = {
    Reason.DELIMITERS: "the marks that fence strangers' text in prompts",
    Reason.CHAT_CONTROL: "control words of a chat template",
    Reason.INSTRUCTIONS: "words that speak to a model",
    Reason.VERDICT: "a verdict of its own",
    Reason.BIDIRECTIONAL: "characters that turn the direction of text",
    Reason.HIDDEN: "characters that cannot be seen",
    Reason.LOOKALIKES: "letters that look like others",
}
_PLACES = {"code": "raw code", "comment": "comment of the raw code"}


class RawCode(NamedTuple):
    code: str
    comment: str


class Line(NamedTuple):
    """One reason as a page says it: `holds` in `places`, for example `excerpt`."""

    holds: str
    places: list[str]
    excerpt: str


def warnings_of(text: Text, raw: RawCode | None, *, is_mended: bool) -> list[WarningShape]:
    """About the text as it is read and the raw code. `is_mended`: of the reply that the text was read from."""
    texts = text._asdict()
    if raw is not None:
        texts |= raw._asdict()
    warned = [WarningShape(**one._asdict()) for one in warnings_about(texts)]
    if is_mended:
        warned.append(WarningShape(reason=MENDED, where="reply", excerpt=""))
    return warned


def in_words(warned: Iterable[WarningShape]) -> list[Line]:
    """Each reason once, with all its places."""
    lines: dict[str, Line] = {}
    for one in warned:
        if one.reason == MENDED:
            continue
        line = lines.setdefault(one.reason, Line(_IN_WORDS[one.reason], [], one.excerpt))
        line.places.append(_PLACES.get(one.where, one.where))
    return list(lines.values())

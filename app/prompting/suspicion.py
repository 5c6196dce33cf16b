"""What in a text may be meant for the model that reads it, and not for people. Pure.

A warning to the reviewer, nothing more: prompts are fenced whatever stands in a text. Each reason is narrow: of the
58,720 functions of Python 3.11's standard library ten raise one, all of them tests of odd characters.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from app.prompting.addressed import has_any_of, plain_words, spoken_to_a_model
from app.prompting.unseen import AS_LATIN, BIDIRECTIONAL, JOINERS, STRAY_SELECTOR, UNSEEN, ZERO_WIDTH

_LONGEST_EXCERPT = 80
_MOST_CHARACTERS = 200_000  # of one text that are looked at


class Reason(StrEnum):
    """Why a text is suspicious, by its stable name."""

    DELIMITERS = "our_delimiters"
    CHAT_CONTROL = "chat_control_words"
    INSTRUCTIONS = "instructions_to_a_model"
    VERDICT = "a_verdict_of_its_own"
    BIDIRECTIONAL = "bidirectional_characters"
    HIDDEN = "hidden_characters"
    LOOKALIKES = "letters_that_look_like_others"


class Suspicion(NamedTuple):
    """One reason with the place that raised it, hidden characters by their numbers."""

    reason: Reason
    excerpt: str


class Warned(NamedTuple):
    """A suspicion about one of several texts; `where` names it."""

    reason: Reason
    where: str
    excerpt: str


def warnings_about(texts: Mapping[str, str]) -> list[Warned]:
    """The suspicions about named texts, each reason once for each text, in order."""
    return [
        Warned(one.reason, where, one.excerpt) for where, text in texts.items() for one in suspicions(text)
    ]


def suspicions(text: str) -> list[Suspicion]:
    """Each reason at most once, with its first place."""
    text = text[:_MOST_CHARACTERS]
    plain = plain_words(text)
    found = (
        (Reason.DELIMITERS, _DELIMITERS.search(plain) if "untrusted" in plain else _NUMBERED.search(text)),
        (
            Reason.CHAT_CONTROL,
            _CHAT_CONTROL.search(text) or (_turns(text) if has_any_of(plain, _SPEAKING_WORDS) else None),
        ),
        (Reason.INSTRUCTIONS, spoken_to_a_model(text)),
        (Reason.VERDICT, _VERDICT.search(plain) if has_any_of(plain, _VERDICT_WORDS) else None),
        (Reason.BIDIRECTIONAL, None if text.isascii() else _BIDIRECTIONAL.search(text)),
        (Reason.HIDDEN, (_CONTROL if text.isascii() else _HIDDEN).search(text)),
        (Reason.LOOKALIKES, None if text.isascii() else _LOOKALIKES.search(text)),
    )
    return [Suspicion(reason, _excerpt(place)) for reason, place in found if place is not None]


# --- what is looked for -----------------------------------------------------------------------------------

_DELIMITERS = re.compile(r"\b(?:begin|end) (?:of )?(?:the )?untrusted (?:text|code|content|data|input)\b")
_NUMBERED = re.compile(r"⟪\s*(?:U\+|begin|end)", re.IGNORECASE)
_CHAT_CONTROL = re.compile(
    r"<[|｜][\w▁ ]{2,40}[|｜]>|<</?SYS>>|<(?:start|end)_of_turn>|</?(?:think|thinking|tool_call)>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|THINK)\]"
)
_TURN = re.compile(  # nothing in it crosses the end of a line, or it would take the square of many of them
    r"^([^\w\n]*+)(?:(human|user)|(ai assistant|assistant)|system|instruction|response)[^\S\n]{0,20}:",
    re.IGNORECASE | re.MULTILINE,
)
_HEADING = "###"
_LONGEST_TURN = 400  # characters
_VERDICT = re.compile(
    r"\boverall(?: answer| verdict)?[\"'* ]{0,3}[:=][\"'* ]{0,3}(?:yes|pass|approved?)\b"
    r"|<(?:verdict|overall|judg[e]?ment)>\s*(?:yes|pass|approved?|correct)"
    r"|\b(?:verdict|judg[e]?ment)[\"']?\s*[:=]\s*[\"']?(?:pass|yes|approved?|correct)\b"
    r"|\bscore\s*[:=]\s*(?:10/10|100/100|5/5)"
)
_VERDICT_WORDS = ("overall", "verdict", "judgment", "judgement", "score")
_SPEAKING_WORDS = ("assistant", "###")
_BIDIRECTIONAL = re.compile(f"[{BIDIRECTIONAL}]")
# A mark of the byte order at the very beginning is none; joiners are where letters of other scripts or symbols meet.
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]|\r(?!\n)")
_HIDDEN = re.compile(
    f"{_CONTROL.pattern}|(?<!^)[{ZERO_WIDTH}]|{STRAY_SELECTOR}|(?<=[\\x00-\\x7f])[{JOINERS}]|[{JOINERS}](?=[\\x00-\\x7f])"
)
_LOOKING_LATIN = "".join(sorted(chr(number) for number in AS_LATIN))
_LOOKALIKES = re.compile(
    f"[A-Za-z][0-9_]*[{_LOOKING_LATIN}]|[{_LOOKING_LATIN}][0-9_]*[A-Za-z]|[\U0001d400-\U0001d7ff]{{4}}|[Ａ-Ｚａ-ｚ]{{6}}"
)


def _turns(text: str) -> re.Match[str] | None:
    """Where a person and an assistant speak in turn, or a heading gives somebody the word."""
    before: re.Match[str] | None = None
    for turn in _TURN.finditer(text):
        decoration, person, assistant = turn.groups()
        if not person and decoration.rstrip().endswith(_HEADING):
            return turn
        if not (person or assistant):
            continue
        is_answered = before is not None and bool(before[2]) != bool(person)
        if before is not None and is_answered and turn.start() - before.end() <= _LONGEST_TURN:
            return before
        before = turn
    return None


def _excerpt(place: re.Match[str]) -> str:
    """The place and a little of what is around it, in one line, every character visible."""
    before = place.string[max(0, place.start() - 20) : place.start()]
    around = before + place.string[place.start() : place.end() + 20]
    return "".join(map(_visible, " ".join(around.split())))[:_LONGEST_EXCERPT]


def _visible(character: str) -> str:
    is_seen = character.isprintable() and not UNSEEN.match(character)
    return character if is_seen else f"U+{ord(character):04X}"


def reasons_in_words(warned: Iterable[Warned]) -> list[str]:
    """Each reason once, for a badge."""
    return [reason.replace("_", " ") for reason in dict.fromkeys(one.reason for one in warned)]

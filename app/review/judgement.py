"""What a person says about an instance, checked before anything is written. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from app.errors import InvalidInput
from app.pipeline import Action, Move

EDITABLE = ("instruction", "information", "solution")
ANSWERS = ("yes", "no")
PAST: dict[str, str] = {
    Action.ACCEPT: "accepted",
    Action.EDIT: "edited",
    Action.REJECT: "rejected",
    Action.SKIP: "skipped",
    Move.WITHDRAW: "withdrawn",
    Move.RESTORE: "restored",
}
LONGEST_TEXT = 100_000  # characters of one edited field
LONGEST_NOTE = 4_000


class Text(NamedTuple):
    """The part of an instance that people may change."""

    instruction: str
    information: str
    solution: str


class Judgement(NamedTuple):
    """One person's answer as it came in. `edits` and `rules` may be partial."""

    action: Action
    reason: str | None
    note: str
    edits: Mapping[str, str]
    rules: Mapping[str, str]


def checked_reason(judgement: Judgement, reasons: Sequence[str]) -> str | None:
    """The reason to store. Rejecting and skipping need one of the project's; others may give one.

    Raises:
        InvalidInput: none where one is needed, or one that the project does not know; lists those it knows.
    """
    reason = (judgement.reason or "").strip() or None
    known = ", ".join(reasons)
    if reason is not None and reason not in reasons:
        raise InvalidInput(f"{reason!r} is not a reason of this project. Its reasons: {known}", "reason")
    if reason is None and judgement.action in (Action.REJECT, Action.SKIP):
        raise InvalidInput(f"{judgement.action.capitalize()} needs a reason, one of: {known}", "reason")
    return reason


def checked_note(judgement: Judgement) -> str:
    """The free text beside a decision.

    Raises:
        InvalidInput: too long, or text that no database keeps.
    """
    note = judgement.note.strip()
    checked_length("note", note)
    return note


def checked_text(judgement: Judgement, present: Text) -> Text:
    """The text after the decision: the present one, but for an edit, which must change something.

    Raises:
        InvalidInput: an edit that changes nothing or leaves no instruction or solution; edits beside
            another action; a field that cannot be edited.
    """
    unknown = sorted(set(judgement.edits) - set(EDITABLE))
    if unknown:
        raise InvalidInput(f"{unknown[0]!r} cannot be edited; {', '.join(EDITABLE)} can", "edits")
    if judgement.action != Action.EDIT:
        if judgement.edits:
            raise InvalidInput(
                f"{judgement.action.capitalize()} takes the text as it is; send `edit` to change it", "edits"
            )
        return present
    for field, text in judgement.edits.items():
        checked_length(field, text)
    edited = present._replace(**judgement.edits)
    if edited == present:
        raise InvalidInput("Nothing is changed: accept it as it is, or edit the text", "edits")
    for field in ("instruction", "solution"):
        if not getattr(edited, field).strip():
            raise InvalidInput(f"The {field} would be empty; reject the instance instead", field)
    return edited


def checked_length(field: str, text: str) -> None:
    """Raises InvalidInput: too long, or text that no database keeps."""
    most = LONGEST_NOTE if field == "note" else LONGEST_TEXT
    if len(text) > most:
        raise InvalidInput(f"The {field} has {len(text):,} characters; {most:,} are the most", field)
    _refuse_nul(text, field)


def checked_rules(judgement: Judgement, known: Collection[str]) -> dict[str, str]:
    """A person's own answers to single rules of the verdict.

    Raises:
        InvalidInput: a rule that the verdict does not name, or an answer that is not yes or no.
    """
    for rule, answer in judgement.rules.items():
        if rule not in known:
            named = ", ".join(sorted(known)) or "none: this instance has no verdict"
            raise InvalidInput(f"{rule!r} is not a rule of this verdict. Its rules: {named}", "rules")
        if answer not in ANSWERS:
            raise InvalidInput(f"The answer to {rule!r} is yes or no, not {answer!r}", "rules")
    return dict(judgement.rules)


def _refuse_nul(text: str, field: str) -> None:
    if "\0" in text:
        raise InvalidInput(f"{field} holds a NUL character, which cannot be stored", field)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput(f"{field} holds half a surrogate pair, which is not a character", field)

"""The draws of an audit: what a reader may answer, and why there may be none to read. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple, get_args

from app.errors import Conflict, InvalidInput
from app.pipeline import Action, AuditState
from app.review.judgement import Judgement, checked_reason

NO_SKIP = "a draw of an audit is never skipped: what cannot be decided is a defect"


class Answer(NamedTuple):
    """What a reader says about a draw, as it came in. Undecidable counts as a defect."""

    defect: bool | None
    judgement: Judgement  # what they do with the text, and why


def checked_label(answer: Answer, reasons: Sequence[str]) -> bool:
    """Whether the reader says it is a defect; asked apart from what they do with the text.

    Raises:
        Conflict: it would be skipped.
        InvalidInput: no answer, a defect without one of the project's reasons, an instance that is ok and
            rejected, or an answer to a rule of the verdict, which nobody has seen.
    """
    defect, judgement = answer
    if judgement.action is Action.SKIP:
        raise Conflict(NO_SKIP)
    if defect is None:
        raise InvalidInput("Say whether it is a defect: true or false", "defect")
    if judgement.rules:
        raise InvalidInput(
            "The verdict is hidden in an audit, so that its rules cannot be overruled", "rules"
        )
    if judgement.action is Action.REJECT and not defect:
        raise InvalidInput("What is ok is not rejected: accept it, or edit it", "defect")
    if defect and checked_reason(judgement, reasons) is None:
        raise InvalidInput(f"A defect needs a reason, one of: {', '.join(reasons)}", "reason")
    return defect


class Left(NamedTuple):
    """What is left to read of one audit for a person who can be given nothing of it."""

    audit_id: int
    state: AuditState
    unread: int  # draws that nobody has read; 0 once no new ones are handed out
    second: int  # draws that wait for their second reader
    second_mine: int  # of these, those that this person has read
    disputed: int  # draws that wait for an adjudicator
    free_at: datetime | None  # when the first lease of another person ends


Why = Literal["leased", "waiting", "empty"]


class NothingToRead(NamedTuple):
    """`reason` is for machines, `text` for people."""

    reason: Why
    text: str


def why_no_draw(left: Sequence[Left]) -> NothingToRead:
    """Why none of these audits, the oldest first, has a draw for the person who asked."""
    if not left:
        return NothingToRead("empty", "There is no audit in this project to read for")
    each = [_why(one) for one in left]
    reason = next(why for why in get_args(Why) if any(why == one.reason for one in each))
    return NothingToRead(reason, "; ".join(one.text for one in each if one.reason == reason))


def _why(left: Left) -> NothingToRead:
    name = f"Audit {left.audit_id}"
    with_others = left.unread + left.second - left.second_mine
    if with_others:
        until = f" until {left.free_at:%H:%M} UTC" if left.free_at else ""
        return NothingToRead("leased", f"{name}: {_left(with_others)} with others{until}")
    waits = [
        f"{_draws(left.second_mine)} that you have read for a second reader" if left.second_mine else "",
        f"{_draws(left.disputed)} for an adjudicator" if left.disputed else "",
    ]
    waiting = " and ".join(one for one in waits if one)
    if waiting:
        return NothingToRead("waiting", f"{name} is {left.state}; waiting: {waiting}")
    return NothingToRead("empty", f"{name} is {left.state}: no more draws are handed out")


def _left(count: int) -> str:
    return "the only draw left is" if count == 1 else f"all {count:,} draws left are"


def _draws(count: int) -> str:
    return "1 draw" if count == 1 else f"{count:,} draws"

"""Who reads what, for how long, and why there may be nothing to read. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

LEASE_MINUTES = 10
UNDO_DEPTH = 10  # decisions of a person that can still be taken back

Reason = Literal["empty", "leased", "waiting", "filtered"]


class Reader(NamedTuple):
    """Somebody who asks for something to read, and what they are given."""

    person_id: int
    languages: Sequence[str] = ()  # none: every language
    skips_return: bool = False  # what they skipped comes back when nothing else is left
    has_own: bool = False  # something that waits is assigned to them
    holds: bool = False  # something of the work stream is in their hands


class Queue(NamedTuple):
    """How the queue stands for one person. Counts are of waiting instances that the person does not hold.

    waiting = assigned + other_languages + filtered + matching;
    matching = read + with_others + skipped, where there is nothing to give.
    """

    waiting: int  # in the project, whatever the filter
    assigned: int  # to another person
    other_languages: int  # of the rest, in languages that this person does not read
    matching: int  # of the rest, those that the filter lets through
    read: int  # of the matching, those that this person has decided on and a second reader has not
    with_others: int  # of the matching, those that other people hold or are just being given
    skipped: int  # of the matching, those that this person skipped and nobody holds
    free_at: datetime | None  # when the first of another person's leases ends
    generating: int  # still being made
    decided: bool  # there are instances that people have decided on


class WhyEmpty(NamedTuple):
    """`reason` is for machines, `text` for people."""

    reason: Reason
    text: str
    queue: Queue


def why_empty(queue: Queue) -> WhyEmpty:
    """Why a queue that stands like this has nothing for the person who asked."""
    reason = _reason(queue)
    return WhyEmpty(reason, _TEXTS[reason](queue), queue)


def _reason(queue: Queue) -> Reason:
    if queue.waiting == 0:
        return "empty"
    if queue.matching == 0:
        return "filtered"
    return "leased" if queue.with_others else "waiting"


def _empty(queue: Queue) -> str:
    if queue.generating:
        return f"Nothing to read yet: {_instances(queue.generating)} still being made"
    if not queue.decided:
        return "Nothing to read yet: this project has no instances with a text"
    return "Nothing is left to read: every instance that has text is decided"


def _leased(queue: Queue) -> str:
    until = f" until {queue.free_at:%H:%M} UTC" if queue.free_at else ""
    everything = "The last one is" if queue.with_others == 1 else f"All {queue.with_others:,} left are"
    mine = _mine(queue)
    return f"{everything} with others{until}" + (f"; for another reader: {mine}" if mine else "")


def _waiting(queue: Queue) -> str:
    return f"Nothing is left for you; for another reader: {_mine(queue)}"


def _mine(queue: Queue) -> str:
    read = f"{queue.read:,} that you have read" if queue.read else ""
    skipped = f"{queue.skipped:,} that you skipped" if queue.skipped else ""
    return " and ".join(part for part in (read, skipped) if part)


def _filtered(queue: Queue) -> str:
    hidden = queue.waiting - queue.assigned - queue.other_languages
    why = [
        f"Your filter hides {_instances(hidden)} that could be read" if hidden else "",
        f"{_instances(queue.other_languages)} in languages that you do not read"
        if queue.other_languages
        else "",
        f"{_instances(queue.assigned)} assigned to other readers" if queue.assigned else "",
    ]
    return "; ".join(part for part in why if part)


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count:,} instances"


_TEXTS = {"empty": _empty, "leased": _leased, "waiting": _waiting, "filtered": _filtered}

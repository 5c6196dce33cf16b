"""Who reads what, for how long, and why there may be nothing to read. Pure."""

from datetime import datetime
from typing import Literal, NamedTuple

LEASE_MINUTES = 10
UNDO_DEPTH = 10  # decisions of a person that can still be taken back

Reason = Literal["empty", "leased", "waiting", "filtered"]


class Queue(NamedTuple):
    """How the queue stands for one person. Counts are of instances that the person does not hold."""

    waiting: int  # in the project, whatever the filter
    matching: int  # of these, those that the filter lets through
    with_others: int  # of the matching, those that other people hold or are just being given
    skipped: int  # of the matching that nobody else holds, those that this person skipped
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
    skipped = f"; {queue.skipped:,} more you skipped, another reader can take them" if queue.skipped else ""
    everything = "The last one is" if queue.with_others == 1 else f"All {queue.with_others:,} left are"
    return f"{everything} with others{until}{skipped}"


def _waiting(queue: Queue) -> str:
    return f"You skipped {_instances(queue.skipped)} that wait for another reader; nothing else is left"


def _filtered(queue: Queue) -> str:
    return f"Your filter hides {_instances(queue.waiting)} that could be read"


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count:,} instances"


_TEXTS = {"empty": _empty, "leased": _leased, "waiting": _waiting, "filtered": _filtered}

"""The history of an instance as one line of events. Pure."""

from datetime import datetime
from typing import Any, Literal, NamedTuple

from app.code.difference import Line, changed_lines
from app.pipeline import Stage
from app.review.judgement import EDITABLE
from app.review.shapes import InstanceShape, RevisionShape

Kind = Literal["made", "call", "evidence", "verdict", "decision", "revision", "undone"]
_ORDER: tuple[Kind, ...] = ("made", "call", "evidence", "verdict", "decision", "revision", "undone")


class Event(NamedTuple):
    """`what` is the thing itself: a call, a verdict with its call, a decision, a list of evidence ..."""

    at: datetime
    kind: Kind
    what: Any


class Edit(NamedTuple):
    """A revision and, for every text that changed, its difference from the one before."""

    revision: RevisionShape
    changes: dict[str, list[Line]]


def timeline(instance: InstanceShape) -> list[Event]:
    """Everything that happened to the instance, oldest first; things of one moment in pipeline order."""
    events = [Event(instance.created_at, "made", instance)]
    events += [Event(call.sent_at, "call", call) for call in instance.calls]
    by_revision: dict[int, list[Any]] = {}
    for one in instance.evidence:
        by_revision.setdefault(one.revision, []).append(one)
    events += [
        Event(max(one.created_at for one in found), "evidence", found) for found in by_revision.values()
    ]
    if instance.verdict is not None:
        events.append(Event(instance.verdict.created_at, "verdict", instance.verdict))
    events += [Event(one.created_at, "decision", one) for one in instance.decisions]
    events += [Event(one.undone_at, "undone", one) for one in instance.decisions if one.undone_at]
    events += [Event(edit.revision.created_at, "revision", edit) for edit in edits(instance.revisions)]
    return sorted(events, key=lambda event: (event.at, _ORDER.index(event.kind)))


def edits(revisions: list[RevisionShape]) -> list[Edit]:
    """What each revision changed in the text that its writer began with."""
    texts = {one.number: one for one in revisions}
    return [
        Edit(
            new,
            {
                name: changed_lines(getattr(old, name), getattr(new, name))
                for name in EDITABLE
                if getattr(old, name) != getattr(new, name)
            },
        )
        for new in revisions
        if new.number and (old := texts.get(new.base, revisions[0]))
    ]


def stage_words(stage: str) -> str:
    """What a call was for, as a page says it."""
    return {
        Stage.GENERATE: "Asked for the instance",
        Stage.DISCRIMINATE: "Asked for a verdict",
        Stage.CORRECT: "Sent back for a better text",
        Stage.CONFIRM: "Asked for a verdict on the better text",
    }[Stage(stage)]

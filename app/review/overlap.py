"""Several readers of one instance: how many are asked, and whether they agree. Pure.

Readers of an instance come one after the other, each sees the text that the first one saw, and none what another
said. A round ends when as many have answered as are asked: their common answer holds, or an adjudicator decides.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

from app.pipeline import Action
from app.review.judgement import Text

Visible = Literal["blind", "open", "admins"]


class Policy(NamedTuple):
    """How a project's instances are read."""

    overlap_percent: int = 0  # of the instances that are read by more than one
    overlap_readers: int = 2
    skips_return: bool = False  # what a reader skipped comes back when nothing else is left
    skips_to_adjudicate: int = 3  # readers who skip before an adjudicator gets it; 0: never
    opinions_visible: Visible = "blind"  # to annotators, of instances that are still open
    speed_visible: bool = False  # to leads


class Opinion(NamedTuple):
    """What one reader said, and the text as they left it."""

    decision_id: int
    person_id: int
    action: str
    text: Text


def readings_wanted(instance_id: int, policy: Policy) -> int:
    """How many readers an instance is given.

    Drawn by a hash of its number: nobody sees which ones are read twice, and a higher share only adds some.
    """
    drawn = int.from_bytes(hashlib.sha256(f"overlap {instance_id}".encode()).digest()[:8]) % 100
    return policy.overlap_readers if drawn < policy.overlap_percent else 1


def agree(opinions: Sequence[Opinion]) -> bool:
    """All reject, whatever the reasons; or all keep the same text to the letter."""
    if all(one.action == Action.REJECT for one in opinions):
        return True
    return all(one.action != Action.REJECT for one in opinions) and len({one.text for one in opinions}) == 1


def may_see_opinions(visible: Visible, *, is_admin: bool, is_open: bool, has_decided: bool) -> bool:
    """Whether somebody is shown what others said about an instance."""
    if is_admin or visible == "open":
        return True
    return visible == "blind" and (has_decided or not is_open)

"""From what readers said to what a lot's draws count for. Pure.

A label is whether a row is a defect. The first reading gives it. Where the seed chose the row for a second reader
and the two differ, it counts as a defect until an adjudicator has decided, whose word holds. Apart from that it
only ever becomes a defect, when somebody finds one later. Draws count in their order and only up to the first
without a label: what is read early waits.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from app.guarantee.sequences import BoolArray, IntArray
from app.guarantee.sequential import Prior, Test, certified_at, tolerance_of, upper_bounds
from app.pipeline import AuditState, Part

DISAGREEMENT, ADJUDICATED, FOUND_LATER = "disagreement", "adjudicated", "found later"
"""Why a label was looked at again, as `LabelChange.why` has it."""


class Reading(NamedTuple):
    """One person's answer on a row of a lot. `new_revision`: the text they left, where they edited."""

    decision_id: int
    person_id: int
    defect: bool
    action: str
    new_revision: int | None
    at: datetime


class Labelled(NamedTuple):
    """A row of a lot that somebody has read: the first reading, then the second if there is one."""

    row_id: str
    instance_id: int
    part: str
    position: int  # from 1, in the order of its part
    twice: bool  # the seed asks for a second reader
    revision: int  # that was frozen
    readings: tuple[Reading, ...]
    adjudicated: bool | None = None  # an adjudicator's word on a disagreement
    found_later: bool = False  # that it is a defect, after it was read as ok

    @property
    def defect(self) -> bool:
        """Its label."""
        return label_of([one.defect for one in self.readings], self.adjudicated, self.found_later)

    @property
    def is_disputed(self) -> bool:
        """Its readers disagree, and an adjudicator has still to decide. What was found later needs none."""
        return (
            not self.found_later
            and self.adjudicated is None
            and len({one.defect for one in self.readings}) > 1
        )

    @property
    def wants_second_reader(self) -> bool:
        return self.twice and len(self.readings) == 1

    @property
    def corrected_by(self) -> int | None:
        """The revision that a release takes in place of the frozen one: the last that a reader left who gave the
        label that holds. A text polished as ok does not correct a defect."""
        left = [one.new_revision for one in self.readings if one.defect == self.defect]
        return next((number for number in reversed(left) if number is not None), None)

    @property
    def is_removed(self) -> bool:
        """From the release: a defect that nobody corrected."""
        return self.defect and self.corrected_by is None


class Claim(NamedTuple):
    """What an audit fixed before its first draw."""

    rows: int  # N, of the part that is drawn from
    census_rows: int  # that are read in full
    max_defect_rate: float
    alpha: float  # of this attempt: the audit's, divided by the attempts declared
    prior: Prior


class Standing(NamedTuple):
    """How an audit stands by its labels. Everything counts in the random part but what says census.

    `upper_bounds` (draws,): the most defects in the random part that are not rejected after each counted draw.
    """

    state: AuditState
    defect: BoolArray  # (draws,) the labels that count, in draw order
    certified_at: int | None  # draws; None while it is not, or the tolerance is not known
    upper_bounds: IntArray
    tolerance: int | None  # None until the census is complete
    found: int  # defects, with those read early
    early: int  # rows that are read, but wait for an earlier draw
    disputed: int  # rows of both parts that wait for an adjudicator
    half_read: int  # rows of both parts that wait for their second reader
    census_read: int
    census_defects: int
    census_removed: int

    @property
    def draws(self) -> int:
        return len(self.defect)

    @property
    def defects(self) -> int:
        """Among the draws that count."""
        return int(self.defect.sum())


def label_of(readings: Sequence[bool], adjudicated: bool | None = None, found_later: bool = False) -> bool:
    """Whether a row that was read counts as a defect. `readings`: one or two, True is a defect."""
    if found_later:
        return True
    if adjudicated is not None:
        return adjudicated
    return any(readings)


def standing(claim: Claim, rows: Iterable[Labelled]) -> Standing:
    """What the labels of `rows`, those of a lot that are read so far in whatever order, come to."""
    rows = list(rows)
    drawn = {row.position: row.defect for row in rows if row.part == Part.RANDOM}
    census = [row for row in rows if row.part == Part.CENSUS]
    removed = sum(row.is_removed for row in census)
    counted = _counted(drawn)
    found = sum(drawn.values())
    most = tolerance_of(claim.max_defect_rate, claim.rows + claim.census_rows - removed)
    tolerance = most if len(census) == claim.census_rows else None
    test = Test(claim.rows, most, claim.alpha, claim.prior)
    certified = None if tolerance is None else certified_at(counted, test)
    return Standing(
        state=_state(certified, is_refuted=found > most),
        defect=counted,
        certified_at=certified,
        upper_bounds=upper_bounds(counted, test),
        tolerance=tolerance,
        found=found,
        early=len(drawn) - len(counted),
        disputed=sum(row.is_disputed for row in rows),
        half_read=sum(row.wants_second_reader for row in rows),
        census_read=len(census),
        census_defects=sum(row.defect for row in census),
        census_removed=removed,
    )


def _counted(drawn: dict[int, bool]) -> BoolArray:
    """The labels of the first draws, up to the first that has none."""
    labels: list[bool] = []
    while len(labels) + 1 in drawn:
        labels.append(drawn[len(labels) + 1])
    return np.array(labels, dtype=np.bool_)


def _state(certified: int | None, *, is_refuted: bool) -> AuditState:
    """Refuted: more defects are found than the claim allows, whatever is still to come; then nothing certifies it."""
    if is_refuted:
        return AuditState.FAILED
    return AuditState.OPEN if certified is None else AuditState.CERTIFIED

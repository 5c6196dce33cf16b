"""From raw rows to instances that people accepted, in steps whose parts add up. Pure."""

from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

from app.pipeline import InstanceStatus, Verdict

ADDED = "added"  # what reading counts a kept row under; every other code is a rule that refused


class Part(NamedTuple):
    """A share of a step. `kind` is ok, warn, bad, machine or empty: its colour, never its only sign."""

    label: str
    number: int
    kind: str = ""
    href: str | None = None


class Step(NamedTuple):
    """`total` is the sum of its parts."""

    title: str
    parts: list[Part]

    @property
    def total(self) -> int:
        return sum(part.number for part in self.parts)

    @property
    def bars(self) -> list[tuple[float, float, str]]:
        """(start, width, kind) of each part on a line of 100."""
        ends = list(accumulate(part.number for part in self.parts))
        scale = 100 / self.total if self.total else 0
        return [
            ((end - part.number) * scale, part.number * scale, part.kind)
            for part, end in zip(self.parts, ends, strict=True)
            if part.number
        ]


class Counts(NamedTuple):
    """What the tables say about one project."""

    rows: Mapping[str, int]  # of ingestion, by the code they ended with
    imported: Mapping[str, int]  # rows of finished sets, likewise
    snippets: int
    picked: int  # snippets in at least one selection
    unmade: int  # of the generating: their run is over, nothing will come
    statuses: Mapping[str, int]  # instances by status
    edited: int  # of the accepted
    verdicts: Mapping[str | None, int]  # waiting instances by verdict; None: imported, without one


def funnel(counts: Counts) -> list[Step]:
    """The steps that hold something, or once held it, in pipeline order."""
    steps = [
        _rows("Raw rows read", "kept as snippets", counts.rows),
        _rows("Rows of finished sets read", "kept as instances", counts.imported),
        _snippets(counts),
        _instances(counts),
        _waiting(counts),
    ]
    return [step for step in steps if step.total]


def _rows(title: str, kept: str, ended: Mapping[str, int]) -> Step:
    refused = sorted(
        ((code, rows) for code, rows in ended.items() if code != ADDED), key=lambda rule: -rule[1]
    )
    return Step(
        title,
        [
            Part(kept, ended.get(ADDED, 0), "ok"),
            *(Part(f"refused: {code.replace('_', ' ')}", rows, "bad", "/sources") for code, rows in refused),
        ],
    )


def _snippets(counts: Counts) -> Step:
    return Step(
        "Snippets",
        [
            Part("picked", counts.picked, "ok", "/selections"),
            Part("not picked", counts.snippets - counts.picked),
        ],
    )


def _instances(counts: Counts) -> Step:
    def of(status: InstanceStatus) -> int:
        return counts.statuses.get(status, 0)

    accepted = of(InstanceStatus.ACCEPTED)
    return Step(
        "Instances asked for or imported",
        [
            Part("accepted as it was", accepted - counts.edited, "ok", "/instances?status=accepted"),
            Part("accepted after an edit", counts.edited, "ok", "/instances?status=accepted"),
            Part("rejected", of(InstanceStatus.REJECTED), "bad", "/instances?status=rejected"),
            Part("withdrawn", of(InstanceStatus.WITHDRAWN), "bad", "/instances?status=withdrawn"),
            Part("waiting for a person", of(InstanceStatus.WAITING), "warn", "/instances?status=waiting"),
            Part("waiting for an adjudicator", of(InstanceStatus.DISPUTED), "warn", "/adjudication"),
            Part("unusable", of(InstanceStatus.UNUSABLE), "bad", "/instances?status=unusable"),
            Part("being made", of(InstanceStatus.GENERATING) - counts.unmade, "", "/runs"),
            Part("not made, its run is over", counts.unmade, "", "/runs"),
        ],
    )


def _waiting(counts: Counts) -> Step:
    return Step(
        "Waiting, by verdict",
        [
            *(
                Part(f"verdict {verdict}", counts.verdicts.get(verdict, 0), "machine", _waiting_href(verdict))
                for verdict in Verdict
            ),
            Part("no verdict: imported", counts.verdicts.get(None, 0)),
        ],
    )


def _waiting_href(verdict: str) -> str:
    return f"/instances?status=waiting&verdict={verdict}"

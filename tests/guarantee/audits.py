"""A small audit with everything in it, as plain facts: census, defects, second readings, corrections."""

from collections.abc import Mapping
from typing import Any

from app.guarantee.certificate import Change, Facts, Read, Said
from app.guarantee.lot import Frozen, content_hash, order, read_twice
from app.guarantee.sequential import prior_for
from app.pipeline import Part
from app.rows.codeocean import Row, row_hash

SEED = "5e" * 32
SHARE = 0.3  # of the draws are read twice
CENSUS_DEFECT = "demo-301"


def row(number: int, solution: str = "return 1", decision: str = "undrawn", revision: int = 0) -> Row:
    made = {
        "id": f"demo-{number}",
        "schema_version": 1,
        "task": "generation",
        "task_name": "code generation",
        "instruction": f"Write number {number}.",
        "information": "",
        "solution": solution,
        "language": "python",
        "target_language": None,
        "source": dict.fromkeys(("repo", "path", "sha", "url", "license", "snippet_hash"), "x"),
        "generator": "offline",
        "discriminator": "offline",
        "decision": decision,
        "revision": revision,
        "served_as_exemplar": False,
    }
    return {**made, "hash": row_hash(made)}


class Audit:
    """An audit of 300 rows, and of four that are read in full, of which the first `draws` are read.

    One draw is a defect that its first reader missed, and somebody corrected it; one is a defect that nobody
    corrected, as is one row of the census; one was called a defect by its second reader, and was none.
    """

    def __init__(self, draws: int = 160, **changed: Any) -> None:
        frozen = [row(number) for number in range(1, 305)]
        self.lot = [
            Frozen(one["id"], content_hash(one), Part.CENSUS if number > 300 else Part.RANDOM)
            for number, one in enumerate(frozen, start=1)
        ]
        self.drawn = order((one.id for one in self.lot if one.part == Part.RANDOM), SEED)
        twice = [row_id for row_id in self.drawn if read_twice(row_id, SEED, SHARE)]
        once = [row_id for row_id in self.drawn if row_id not in twice]
        self.missed, self.cleared, self.uncorrected = twice[0], twice[1], once[5]
        self.corrected = {self.missed: row(_number(self.missed), "return 2", "edit", revision=1)}
        self.facts = Facts(
            audit_id=3,
            frozen_at="2026-11-27T10:00:00+00:00",
            code_version="0.1.0",
            guideline_version=2,
            max_defect_rate=0.05,
            alpha=0.05,
            prior=prior_for(0.05),
            attempts=1,
            attempt=1,
            earlier_audits=[],
            lot=self.lot,
            seed=SEED,
            double_share=SHARE,
            census="read",
            dropped_rows=0,
            read=[*map(self._draw, range(1, draws + 1)), *map(self._census_row, range(301, 305))],
            changes=[
                self._change(self.missed, "disagreement", after=True),
                self._change(self.cleared, "disagreement", after=True),
                self._change(self.cleared, "adjudicated", after=False),
            ],
            corrected={row_id: content_hash(one) for row_id, one in self.corrected.items()},
            withdrawn={},
        )._replace(**changed)

    def released(self) -> list[Row]:
        """The rows of its release, by the order of the lot."""
        read = {one.id for one in self.facts.read}
        out = {self.uncorrected, CENSUS_DEFECT, *self.facts.withdrawn}
        return [
            self.corrected.get(one.id)
            or row(_number(one.id), decision="accept" if one.id in read else "undrawn")
            for one in self.lot
            if one.id not in out
        ]

    def _draw(self, position: int) -> Read:
        row_id = self.drawn[position - 1]
        readings = [Said(position, row_id == self.uncorrected, f"person {position % 3}")]
        if read_twice(row_id, SEED, SHARE):
            again = row_id in (self.missed, self.cleared)
            readings.append(Said(1000 + position, again, f"person {(position + 1) % 3}"))
        return Read(row_id, readings)

    def _census_row(self, number: int) -> Read:
        row_id = f"demo-{number}"
        return Read(row_id, [Said(2000 + number, row_id == CENSUS_DEFECT, "person 1")])

    def _change(self, row_id: str, why: str, *, after: bool) -> Change:
        decision = 1001 + self.drawn.index(row_id) if why == "disagreement" else None
        return Change(row_id, "2026-11-27T11:00:00+00:00", not after, after, why, decision)


def earlier_audit(state: str = "failed") -> Mapping[str, Any]:
    """What a certificate says of an audit before it."""
    return {
        "id": 2,
        "shared_rows": 290,
        "state": state,
        "alpha": 0.05,
        "max_defect_rate": 0.05,
        "draws": 80,
        "defects": 16,
    }


def _number(row_id: str) -> int:
    return int(row_id.removeprefix("demo-"))

"""The certificate of an audited release: everything that its claim rests on, and what follows from it. Pure.

`certificate(facts)` computes all that can be computed. `facts_in` reads the facts back out of a certificate, so
that whoever has the files can build it again and compare (see `recheck`).

    audit_id, schema_version, frozen_at, code_version, guideline_version    what was audited, when, under what
    claim, second_line                    plain sentences (see `claims`)
    max_defect_rate, alpha, prior         p; the chance of a wrong certificate over all attempts; {a, b}
    attempts, attempt, alpha_used         declared before the first draw; which one this is; alpha / attempts
    first, earlier_audits                 audits that share rows with this one, with their results
    lot                                   {file, rows, sha256}: both parts, as frozen before there was a seed
    seed, order_sha256, double_share      of the draws, and the share of them that the seed has read twice
    rows, census, dropped_rows            N, of the part that is drawn from; {mode, rows, kept, defects_left,
                                          readings}; rows that left before the freeze
    rows_audited, tolerance               N and the census rows kept: p of them, rounded down, are tolerated
    draws                                 [{position, id, label, twice, readings: [{decision, label, reader}]}]
    draws_counted, bounds, certified_at   draws up to the first without a label; most defects not rejected after
                                          each; the first draw at which that is within the tolerance
    upper_bound                           the last bound, or the defects found where they are more
    label_changes                         [{id, at, before, after, why, decision, note}]
    removed, corrected                    [{id, why, label}], [{id, hash, was_defect}]
    rows_released                         rows of the lot less those removed
    readers                               {read_twice, waiting, found_again, missed, miss_rate_limit, adjusted}
    sha256                                over the canonical JSON of all the rest
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from app.guarantee import claims
from app.guarantee.labels import ADJUDICATED, FOUND_LATER, label_of
from app.guarantee.lot import Frozen, census_order, hash_without, lot_hash, order, order_hash, read_twice
from app.guarantee.plans import miss_rate_limit
from app.guarantee.sequential import Prior, Test, certified_at, tolerance_of, upper_bounds
from app.pipeline import Part

SCHEMA_VERSION = 1
LOT_FILE = "lot.jsonl"
OK, DEFECT, UNDRAWN = "ok", "defect", "undrawn"
NOT_CORRECTED = "a defect that nobody corrected"

_DIGITS = 10**4  # of the miss rate, rounded up: the last bits differ between machines

Certificate = Mapping[str, Any]


class Said(NamedTuple):
    """One reading of a row."""

    decision: int
    defect: bool
    reader: Hashable  # whoever it is; the certificate gives a number


class Read(NamedTuple):
    """A row of the lot with its readings, the first one first."""

    id: str
    readings: Sequence[Said]


class Change(NamedTuple):
    """A label that was looked at again: whether it was a defect before, and after."""

    id: str
    at: str  # ISO 8601
    before: bool
    after: bool
    why: str  # disagreement, adjudicated, found later
    decision: int | None  # the reading that disagreed
    note: str = ""


class Facts(NamedTuple):
    """What a certificate is made from."""

    audit_id: int
    frozen_at: str  # ISO 8601
    code_version: str
    guideline_version: int | None
    max_defect_rate: float
    alpha: float
    prior: Prior
    attempts: int
    attempt: int
    earlier_audits: Sequence[
        Mapping[str, Any]
    ]  # {id, shared_rows, state, alpha, max_defect_rate, draws, defects}
    lot: Sequence[Frozen]
    seed: str
    double_share: float
    census: str  # none, read or drop
    dropped_rows: int
    read: Sequence[Read]  # of both parts, in any order
    changes: Sequence[Change]  # of labels, as they happened
    corrected: Mapping[
        str, str
    ]  # id -> content hash of the row as the release has it, where a reader edited it
    withdrawn: Mapping[
        str, str
    ]  # id -> why, of rows that the release leaves out for another reason than a label


def certificate(facts: Facts) -> dict[str, Any]:
    """See the top of this file. It also says when the audit is not certified, and why."""
    reckoned = _reckon(facts)
    made = _what_follows(facts, reckoned) | _what_was_fixed(facts, reckoned) | _what_was_read(facts, reckoned)
    return made | {"sha256": hash_without(made, "sha256")}


def facts_in(found: Certificate, lot: Sequence[Frozen]) -> Facts:
    """The facts that a certificate was made from. Raises KeyError, TypeError or ValueError for any other JSON."""
    read = [*found["draws"], *found["census"]["readings"]]
    return Facts(
        audit_id=found["audit_id"],
        frozen_at=found["frozen_at"],
        code_version=found["code_version"],
        guideline_version=found["guideline_version"],
        max_defect_rate=found["max_defect_rate"],
        alpha=found["alpha"],
        prior=Prior(**found["prior"]),
        attempts=found["attempts"],
        attempt=found["attempt"],
        earlier_audits=found["earlier_audits"],
        lot=lot,
        seed=found["seed"],
        double_share=found["double_share"],
        census=found["census"]["mode"],
        dropped_rows=found["dropped_rows"],
        read=[Read(row["id"], [_said(one) for one in row["readings"]]) for row in read],
        changes=[
            Change(**one | {"before": is_defect(one["before"]), "after": is_defect(one["after"])})
            for one in found["label_changes"]
        ],
        corrected={one["id"]: one["hash"] for one in found["corrected"]},
        withdrawn={one["id"]: one["why"] for one in found["removed"] if one["why"] != NOT_CORRECTED},
    )


def labels_of(facts: Facts) -> dict[str, str]:
    """The label of every row that was read, by its readings and what became of them."""
    adjudicated = {one.id: one.after for one in facts.changes if one.why == ADJUDICATED}
    found_later = {one.id for one in facts.changes if one.why == FOUND_LATER}
    return {
        row.id: word(
            label_of([one.defect for one in row.readings], adjudicated.get(row.id), row.id in found_later)
        )
        for row in facts.read
    }


def word(defect: bool) -> str:
    return DEFECT if defect else OK


def is_defect(label: str) -> bool:
    """Raises ValueError for what is no label."""
    return (OK, DEFECT).index(label) == 1


# --- its parts --------------------------------------------------------------------------------------------


class _Reckoned(NamedTuple):
    """What the facts come to."""

    labels: Mapping[str, str]  # of the rows that were read
    drawn: Sequence[str]  # ids of the part that is drawn from, in order
    census: Sequence[str]  # ids of the part that is read in full
    removed: Sequence[Mapping[str, str]]
    bounds: Sequence[int]  # after each draw that counts
    claimed: claims.Claimed


def _reckon(facts: Facts) -> _Reckoned:
    labels = labels_of(facts)
    drawn = order((row.id for row in facts.lot if row.part == Part.RANDOM), facts.seed)
    census = census_order(facts.lot)
    removed = _removed(facts, labels)
    out = {one["id"] for one in removed}
    found = {row_id for row_id in drawn if labels.get(row_id) == DEFECT}
    audited = (
        len(drawn) + len(census) - sum(labels.get(row_id) == DEFECT for row_id in out.intersection(census))
    )
    tolerance = tolerance_of(facts.max_defect_rate, audited)
    test = Test(len(drawn), tolerance, facts.alpha / facts.attempts, facts.prior)
    counted = _counted(drawn, labels)
    bounds = upper_bounds(counted, test).tolist()
    is_complete = all(row_id in labels for row_id in census)
    claimed = claims.Claimed(
        max_defect_rate=facts.max_defect_rate,
        alpha=facts.alpha,
        attempts=facts.attempts,
        attempt=facts.attempt,
        other_audits=len(facts.earlier_audits),
        guideline_version=facts.guideline_version,
        rows=len(drawn),
        rows_audited=audited,
        rows_released=len(facts.lot) - len(removed),
        tolerance=tolerance if is_complete else None,
        certified_at=certified_at(counted, test) if is_complete and len(found) <= tolerance else None,
        upper_bound=max(bounds[-1] if bounds else len(drawn), len(found)),
        corrected=len(found - out),
        removed=len(found & out),
        taken_out=sum(one["label"] != DEFECT for one in removed),
    )
    return _Reckoned(labels, drawn, census, removed, bounds, claimed)


def _what_follows(facts: Facts, reckoned: _Reckoned) -> dict[str, Any]:
    claimed = reckoned.claimed
    return {
        "schema_version": SCHEMA_VERSION,
        "audit_id": facts.audit_id,
        "claim": claims.claim(claimed),
        "second_line": claims.second_line(claimed),
        "rows": claimed.rows,
        "rows_audited": claimed.rows_audited,
        "rows_released": claimed.rows_released,
        "tolerance": claimed.tolerance,
        "certified_at": claimed.certified_at,
        "upper_bound": claimed.upper_bound,
        "readers": _readers(facts, reckoned),
    }


def _what_was_fixed(facts: Facts, reckoned: _Reckoned) -> dict[str, Any]:
    """Before the first draw."""
    return {
        "frozen_at": facts.frozen_at,
        "code_version": facts.code_version,
        "guideline_version": facts.guideline_version,
        "max_defect_rate": facts.max_defect_rate,
        "alpha": facts.alpha,
        "attempts": facts.attempts,
        "attempt": facts.attempt,
        "alpha_used": facts.alpha / facts.attempts,
        "prior": facts.prior._asdict(),
        "first": not facts.earlier_audits,
        "earlier_audits": [dict(one) for one in facts.earlier_audits],
        "lot": {"file": LOT_FILE, "rows": len(facts.lot), "sha256": lot_hash(facts.lot)},
        "seed": facts.seed,
        "order_sha256": order_hash(reckoned.drawn),
        "double_share": facts.double_share,
        "dropped_rows": facts.dropped_rows,
    }


def _what_was_read(facts: Facts, reckoned: _Reckoned) -> dict[str, Any]:
    """Every reading, and what became of it."""
    names, labels = _Pseudonyms(), reckoned.labels
    read = {row.id: row.readings for row in facts.read}
    out = {one["id"] for one in reckoned.removed}
    return {
        "draws_counted": len(reckoned.bounds),
        "draws": [
            {
                "position": position,
                "id": row_id,
                "label": labels[row_id],
                "twice": read_twice(row_id, facts.seed, facts.double_share),
                "readings": names.readings(read[row_id]),
            }
            for position, row_id in enumerate(reckoned.drawn, start=1)
            if row_id in read
        ],
        "census": {
            "mode": facts.census,
            "rows": len(reckoned.census),
            "kept": reckoned.claimed.rows_audited - len(reckoned.drawn),
            "defects_left": 0,  # each is removed or corrected
            "readings": [
                {"id": row_id, "label": labels[row_id], "readings": names.readings(read[row_id])}
                for row_id in reckoned.census
                if row_id in read
            ],
        },
        "label_changes": [
            one._asdict() | {"before": word(one.before), "after": word(one.after)} for one in facts.changes
        ],
        "bounds": reckoned.bounds,
        "removed": reckoned.removed,
        "corrected": [
            {"id": row_id, "hash": facts.corrected[row_id], "was_defect": labels.get(row_id) == DEFECT}
            for row_id in sorted(facts.corrected.keys() - out)
        ],
    }


def _said(reading: Mapping[str, Any]) -> Said:
    return Said(reading["decision"], is_defect(reading["label"]), reading["reader"])


def _counted(drawn: Sequence[str], labels: Mapping[str, str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The labels that count, in draw order: those before the first draw that has none."""
    unread = next((place for place, row_id in enumerate(drawn) if row_id not in labels), len(drawn))
    return np.array([labels[row_id] == DEFECT for row_id in drawn[:unread]], dtype=np.bool_)


def _removed(facts: Facts, labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Rows of the lot that the release does not have: withdrawn ones, and defects that nobody corrected."""
    out = {
        row_id: NOT_CORRECTED
        for row_id, label in labels.items()
        if label == DEFECT and row_id not in facts.corrected
    } | dict(facts.withdrawn)
    return [
        {"id": row_id, "why": why, "label": labels.get(row_id, UNDRAWN)}
        for row_id, why in sorted(out.items())
    ]


def _readers(facts: Facts, reckoned: _Reckoned) -> dict[str, Any]:
    """How often first readings miss a defect, by those rows that the seed gave to a second reader.

    Of the defects that second readings found, the first ones missed some; from the share follow an upper limit
    of the miss rate, at the audit's own confidence, and what the bound would be if readers missed that much.
    """
    drawn, bound = set(reckoned.drawn), reckoned.claimed.upper_bound
    chosen = [
        row for row in facts.read if row.id in drawn and read_twice(row.id, facts.seed, facts.double_share)
    ]
    twice = [row for row in chosen if len(row.readings) > 1]
    again = [row for row in twice if row.readings[1].defect and reckoned.labels[row.id] == DEFECT]
    missed = sum(not row.readings[0].defect for row in again)
    limit = math.ceil(_DIGITS * miss_rate_limit(missed, len(again), facts.alpha)) / _DIGITS
    return {
        "read_twice": len(twice),
        "waiting": len(chosen) - len(twice),
        "found_again": len(again),
        "missed": missed,
        "miss_rate_limit": limit,
        "adjusted": min(len(drawn), math.ceil(bound / (1 - limit))) if limit < 1 else None,
    }


class _Pseudonyms:
    """`reader 1`, `reader 2` .. as they come up."""

    def __init__(self) -> None:
        self._names: dict[Hashable, str] = {}

    def readings(self, readings: Iterable[Said]) -> list[dict[str, Any]]:
        return [
            {
                "decision": one.decision,
                "label": word(one.defect),
                "reader": self._names.setdefault(one.reader, f"reader {len(self._names) + 1}"),
            }
            for one in readings
        ]

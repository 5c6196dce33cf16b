"""Whether a certificate is what its own facts, the frozen lot and the released rows say. Pure.

The certificate is built again from the facts inside it and compared field by field. What nothing else depends
on, such as the date, stands under the certificate's own hash only, and under that of its file in the manifest.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.errors import DomainError
from app.guarantee.certificate import (
    Certificate,
    Change,
    Facts,
    Read,
    certificate,
    facts_in,
    word,
)
from app.guarantee.labels import ADJUDICATED, DISAGREEMENT, FOUND_LATER
from app.guarantee.lot import Frozen, content_hash, read_twice
from app.guarantee.stated import what_is_odd
from app.pipeline import Census, Part

_NOT_ITS_SHAPE = (
    DomainError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def problems(
    found: Certificate, lot: Sequence[Frozen], release_rows: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Everything that is wrong, a sentence each; empty for the certificate of this lot and these codeocean rows."""
    if (odd := what_is_odd(found)) is not None:
        return [f"the certificate cannot be read: {odd}"]
    try:
        facts = facts_in(found, lot)
        rebuilt = certificate(facts)
        wrong = list(differences(found, rebuilt))
        if rebuilt["certified_at"] is None:
            wrong.append(rebuilt["claim"])
        wrong += [*_of_the_lot(facts), *_of_the_labels(facts)]
        return [*wrong, *_of_the_rows(rebuilt, lot, release_rows)]
    except _NOT_ITS_SHAPE as error:
        return [f"the certificate cannot be read: {type(error).__name__} {error}"]


def differences(found: Any, rebuilt: Any, name: str = "") -> Iterator[str]:
    """Each field that does not follow from the rest, by its path."""
    if isinstance(found, Mapping) and isinstance(rebuilt, Mapping):
        for key in sorted({*found, *rebuilt}, key=str):
            path = f"{name}.{key}" if name else str(key)
            if key not in found:
                yield f"{path} is missing"
            elif key not in rebuilt:
                yield f"{path} does not belong there"
            else:
                yield from differences(found[key], rebuilt[key], path)
    elif isinstance(found, list) and isinstance(rebuilt, list):
        if len(found) != len(rebuilt):
            yield f"{name} has {len(found)} entries, the rest gives {len(rebuilt)}"
        for number, (one, other) in enumerate(zip(found, rebuilt, strict=False)):
            yield from differences(one, other, f"{name}[{number}]")
    elif type(found) is not type(rebuilt) or found != rebuilt:
        yield f"{name} is {_short(found)}, the rest gives {_short(rebuilt)}"


def _of_the_lot(facts: Facts) -> Iterator[str]:
    ids = Counter(row.id for row in facts.lot)
    yield from (f"row {row_id} is {count} times in the lot" for row_id, count in ids.items() if count > 1)
    parts = Counter(row.part for row in facts.lot)
    yield from (f"the lot has a part {part!r}" for part in parts if part not in tuple(Part))
    if parts[Part.CENSUS] and facts.census != Census.READ:
        yield f"the lot has a part that is read in full, and census.mode is {facts.census!r}"
    if facts.dropped_rows and facts.census != Census.DROP:
        yield f"dropped_rows is {facts.dropped_rows}, and census.mode is {facts.census!r}"
    named = [*(row.id for row in facts.read), *facts.corrected, *facts.withdrawn]
    yield from (f"row {row_id} is not of the lot" for row_id in dict.fromkeys(named) if row_id not in ids)


def _of_the_labels(facts: Facts) -> Iterator[str]:
    read = Counter(row.id for row in facts.read)
    decisions = Counter(one.decision for row in facts.read for one in row.readings)
    yield from (
        f"row {row_id} is listed as read {count} times" for row_id, count in read.items() if count > 1
    )
    yield from (
        f"decision {number} is there {count} times" for number, count in decisions.items() if count > 1
    )
    yield from (
        f"row {row_id} is corrected, but was not read" for row_id in sorted({*facts.corrected} - {*read})
    )
    changes: dict[str, list[Change]] = {}
    for change in facts.changes:
        changes.setdefault(change.id, []).append(change)
    yield from (
        f"the label of row {row_id} changed, but it was not read" for row_id in changes if row_id not in read
    )
    drawn = {row.id for row in facts.lot if row.part == Part.RANDOM}
    for row in facts.read:
        twice = row.id in drawn and read_twice(row.id, facts.seed, facts.double_share)
        yield from (f"row {row.id}: {what}" for what in _of_a_row(row, changes.get(row.id, []), twice=twice))


def _of_a_row(row: Read, changes: Sequence[Change], *, twice: bool) -> Iterator[str]:
    """A label is that of the first reading; it changes where the seed asked for a second one, or to defect."""
    if not 1 <= len(row.readings) <= 1 + twice:
        yield f"it was read {len(row.readings)} times, and the seed asks for {1 + twice} at most"
        return
    if len({one.reader for one in row.readings}) < len(row.readings):
        yield "both readings are by the same reader"
    first, last = row.readings[0].defect, row.readings[-1].defect
    label = first
    for change in changes:
        if change.why not in (DISAGREEMENT, ADJUDICATED, FOUND_LATER):
            yield f"a label does not change because of {change.why!r}"
        if change.why == DISAGREEMENT and change.decision != row.readings[-1].decision:
            yield f"decision {change.decision} is not its second reading"
        if change.before != label:
            yield f"its label was {word(label)}, and changed from {word(change.before)}"
        if change.why == FOUND_LATER and not change.after:
            yield "found later, a label can only become a defect"
        if change.why != FOUND_LATER and first == last:
            yield f"its label was {change.why}, but its readers did not disagree"
        if change.why != ADJUDICATED and not change.after:
            yield f"only an adjudicator makes a defect ok, not {change.why!r}"
        label = change.after
    if first != last and not first and not changes:
        yield "its readers disagreed, and no change of its label is listed"


def _of_the_rows(
    rebuilt: Certificate, lot: Sequence[Frozen], release_rows: Iterable[Mapping[str, Any]]
) -> Iterator[str]:
    """Release rows are the lot's less those removed, with those corrected, else as they were frozen."""
    corrected = {one["id"]: one["hash"] for one in rebuilt["corrected"]}
    removed = {one["id"] for one in rebuilt["removed"]}
    read = {one["id"] for one in (*rebuilt["draws"], *rebuilt["census"]["readings"])}
    awaited = {row.id: row.hash for row in lot if row.id not in removed} | corrected
    seen: set[str] = set()
    for row in release_rows:
        row_id = row["id"]
        if row_id in seen:
            yield f"row {row_id} is in the release twice"
        elif row_id in removed:
            yield f"row {row_id} is in the release, and the certificate says it was removed"
        elif row_id not in awaited:
            yield f"row {row_id} is in the release, but not in the lot"
        elif content_hash(row) != awaited[row_id]:
            what = "its correction" if row_id in corrected else "what was frozen"
            yield f"row {row_id} differs from {what}"
        else:
            decision = "edit" if row_id in corrected else "accept" if row_id in read else "undrawn"
            if row["decision"] != decision:
                yield f"row {row_id} has the decision {row['decision']!r}, the certificate gives {decision!r}"
        seen.add(row_id)
    yield from (
        f"row {row_id} is in the lot, but neither in the release nor among those removed"
        for row_id in awaited
        if row_id not in seen
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."

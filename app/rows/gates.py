"""What keeps a row out of a release or of a lot, whatever people or machines said about it. Pure.

A gate acts on evidence that exists; for what is not checked yet the manifest says so.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple


class Mode(StrEnum):
    BLOCK = "block"
    ADMIT = "admit"


UNKNOWN_LICENSE = "unknown_license"
EXACT_DUPLICATE = "exact_duplicate"
DOES_NOT_PARSE = "does_not_parse"

SERVED_AS_EXEMPLAR = "served_as_exemplar"

DEFAULTS = {
    UNKNOWN_LICENSE: Mode.BLOCK,
    EXACT_DUPLICATE: Mode.BLOCK,
    DOES_NOT_PARSE: Mode.ADMIT,
    SERVED_AS_EXEMPLAR: Mode.ADMIT,
}
NOT_CHECKED = ("near_duplicate", "contamination", "secrets", "runs")
MEANINGS = {
    UNKNOWN_LICENSE: "the licence of the raw code is unknown (an imported row has no raw code behind it)",
    EXACT_DUPLICATE: "the same text is in it already",
    DOES_NOT_PARSE: "the code that must be right has a syntax error",
    SERVED_AS_EXEMPLAR: "it was shown to a model as an example, and may have shaped other rows",
}

RELEASED = "released"


class Candidate(NamedTuple):
    """What the gates and the splits look at."""

    instance_id: int
    revision: int
    text_hash: str
    license: str | None
    repo: str
    does_not_parse: bool
    has_raw_code: bool = True  # an imported row has none: its licence is that of its set
    has_served: bool = False  # as an example in some call
    is_suspicious: bool = False  # a verdict or a check speaks against it; no gate acts on that


class Sorted(NamedTuple):
    admitted: list[Candidate]
    found: Counter[str]  # rows each gate found, whether it blocks or not
    removed: Counter[str]  # rows each gate kept out; a row is counted at the first one only


def sort_out(candidates: Iterable[Candidate], modes: Mapping[str, Mode]) -> Sorted:
    """Let candidates through the gates, in their order."""
    seen: set[str] = set()
    result = Sorted([], Counter(), Counter())
    for candidate in candidates:
        found = _found(candidate, seen)
        result.found.update(found)
        blocked = next((gate for gate in found if modes.get(gate) is Mode.BLOCK), None)
        if blocked is not None:
            result.removed[blocked] += 1
            continue
        seen.add(candidate.text_hash)
        result.admitted.append(candidate)
    return result


def report(modes: Mapping[str, Mode], outcome: Sorted) -> dict[str, Any]:
    """For the manifest: each gate with what it found and removed, the others named as not checked."""
    checked: dict[str, Any] = {
        gate: {"mode": mode.value, "found": outcome.found[gate], "removed": outcome.removed[gate]}
        for gate, mode in modes.items()
    }
    return checked | dict.fromkeys(NOT_CHECKED, "not checked")


def _found(candidate: Candidate, seen: set[str]) -> list[str]:
    found = {
        UNKNOWN_LICENSE: candidate.has_raw_code and candidate.license is None,
        EXACT_DUPLICATE: candidate.text_hash in seen,
        DOES_NOT_PARSE: candidate.does_not_parse,
        SERVED_AS_EXEMPLAR: candidate.has_served,
    }
    return [gate for gate, is_found in found.items() if is_found]

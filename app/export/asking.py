"""What a release should be, checked before anything is built. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.errors import InvalidInput
from app.export.formats import ALWAYS_BUILT, FORMATS
from app.rows.asked import checked_filters, checked_gates

PEOPLE, AUDITED = "people", "audited"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SPLIT = re.compile(r"[A-Za-z0-9_]{1,40}")


class Wanted(NamedTuple):
    """What a release should be. Empty values mean: everything people accepted, the default gates, one split."""

    name: str
    basis: str = "people"
    filters: Mapping[str, Sequence[str]] = {}
    gates: Mapping[str, str] = {}
    splits: Mapping[str, float] = {}
    formats: Sequence[str] = ()
    audit_id: int | None = None  # of the basis audited; None: the newest that is certified


def checked(wanted: Wanted) -> dict[str, Any]:
    """Everything spelled out, as a release keeps it; raises InvalidInput naming the field."""
    if not _NAME.fullmatch(wanted.name) or wanted.name == "latest":
        raise InvalidInput(
            "a name has 1 to 100 letters, digits, dots, dashes and underscores, starts with a letter or digit, "
            "and is not “latest”",
            "name",
        )
    if wanted.basis not in (PEOPLE, AUDITED):
        raise InvalidInput(f"basis must be people or audited, not {wanted.basis[:50]!r}", "basis")
    if wanted.basis == PEOPLE and wanted.audit_id is not None:
        raise InvalidInput("audit_id goes with the basis audited", "audit_id")
    filters = checked_filters(wanted.filters)
    if wanted.basis == AUDITED and (filters or wanted.gates):
        raise InvalidInput(
            "an audited release has the rows of its lot: filters and gates acted before it was frozen",
            "filters" if filters else "gates",
        )
    return {
        "filters": filters,
        "gates": checked_gates(wanted.gates) if wanted.basis == PEOPLE else {},
        "splits": _checked_splits(wanted.splits),
        "formats": _checked_formats(wanted.formats),
    }


def _checked_splits(splits: Mapping[str, float]) -> dict[str, float]:
    splits = splits or {"train": 1.0}
    if not all(_SPLIT.fullmatch(name) and 0 < share <= 1 for name, share in splits.items()):
        raise InvalidInput(
            "splits are names of letters, digits and underscores with shares above 0", "splits"
        )
    if abs(sum(splits.values()) - 1) > 1e-6:
        raise InvalidInput(f"the shares of the splits add up to {sum(splits.values()):g}, not to 1", "splits")
    return dict(splits)


def _checked_formats(formats: Sequence[str]) -> list[str]:
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise InvalidInput(
            f"formats are {', '.join(FORMATS)}; unknown: {', '.join(unknown)[:200]}", "formats"
        )
    return [name for name in FORMATS if name in formats or name in ALWAYS_BUILT]

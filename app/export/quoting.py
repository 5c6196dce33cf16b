"""What a manifest repeats of its certificate. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.export.formats import CERTIFICATE

ACCEPT, EDIT, UNDRAWN = "accept", "edit", "undrawn"

_QUOTED = (
    "audit_id",
    "claim",
    "second_line",
    "max_defect_rate",
    "alpha",
    "first",
    "certified_at",
    "upper_bound",
    "rows_released",
    "sha256",
)


def quoted(made: Mapping[str, Any]) -> dict[str, Any]:
    """Of a certificate, word by word."""
    return {name: made[name] for name in _QUOTED}


def summary(made: Mapping[str, Any], decisions: Iterable[str]) -> dict[str, Any]:
    """What follows from a certificate and the decisions on the rows that are released."""
    said = [one for row in (*made["draws"], *made["census"]["readings"]) for one in row["readings"]]
    decided = list(decisions)
    return {
        "id": made["audit_id"],
        "file": CERTIFICATE,
        "frozen_at": made["frozen_at"],
        "rows_frozen": made["lot"]["rows"],
        "draws": made["draws_counted"],
        "readers": len({one["reader"] for one in said}),
        "readings": len(said),
        "accepted": decided.count(ACCEPT),
        "corrected": decided.count(EDIT),
        "undrawn": decided.count(UNDRAWN),
        "removed": len(made["removed"]),
        "miss_rate_limit": made["readers"]["miss_rate_limit"],
    }

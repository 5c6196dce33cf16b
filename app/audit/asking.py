"""What somebody wants to claim about which rows, checked before anything is frozen. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from app.errors import InvalidInput
from app.pipeline import OPEN_TO_PEOPLE, Census, InstanceStatus
from app.rows.asked import FILTERS, checked_filters, checked_gates

MOST_ATTEMPTS = 20
LARGEST_ID = 2**63 - 1  # what Postgres keeps in a bigint
AUDITABLE = (*OPEN_TO_PEOPLE, InstanceStatus.ACCEPTED)
"""Statuses of instances that have text and that nobody has thrown out."""


class Wanted(NamedTuple):
    """An audit to be. Without filters everything that has text and is not thrown out is in its lot."""

    max_defect_rate: float
    alpha: float
    filters: Mapping[str, Sequence[str | int]] = {}
    gates: Mapping[str, str] = {}
    census: str = Census.NONE
    attempts: int | None = None  # None: as an earlier lot that shares rows has declared, else 1
    double_share: float = 0.1


class Earlier(NamedTuple):
    """An audit whose lot shares rows with a new one."""

    audit_id: int
    state: str
    attempt: int
    attempts: int
    alpha: float
    shared_rows: int


class Place(NamedTuple):
    """Where a lot stands among those that share rows with it."""

    attempt: int  # 1 for the first
    attempts: int  # declared before the first draw of the first


def checked(wanted: Wanted) -> Wanted:
    """The same with every filter and gate spelled out; raises InvalidInput naming the field."""
    for field in ("max_defect_rate", "alpha"):
        value = getattr(wanted, field)
        if not 0 < value < 1:
            raise InvalidInput(f"{field} is a share above 0 and below 1, such as 0.02, not {value:g}", field)
    if wanted.census not in tuple(Census):
        raise InvalidInput(f"census is one of {', '.join(Census)}", "census")
    if wanted.attempts is not None and not 1 <= wanted.attempts <= MOST_ATTEMPTS:
        raise InvalidInput(f"attempts are 1 to {MOST_ATTEMPTS}, declared before the first draw", "attempts")
    if not 0 <= wanted.double_share <= 1:
        raise InvalidInput(
            f"double_share is a share from 0 to 1, not {wanted.double_share:g}", "double_share"
        )
    return wanted._replace(filters=_checked_filters(wanted.filters), gates=checked_gates(wanted.gates))


def place_among(earlier: Sequence[Earlier], wanted: Wanted) -> Place:
    """The how-manieth attempt a lot is, of how many that were declared.

    The risks of several attempts add up, so each gets an equal part of alpha; that holds for those declared
    before anybody saw a result. Raises InvalidInput where this one would break what was declared.
    """
    if not earlier:
        return Place(1, wanted.attempts or 1)
    first = min(earlier)
    attempt = 1 + max(len(earlier), *(one.attempt for one in earlier))
    if wanted.attempts not in (None, first.attempts):
        raise InvalidInput(
            f"audit {first.audit_id} shares {first.shared_rows:,} rows with this lot and declared"
            f" {first.attempts} attempts before its first draw; this is attempt {attempt}, and their number can"
            " change no more: leave attempts out",
            "attempts",
        )
    largest = max(one.alpha for one in earlier)
    if attempt <= first.attempts and wanted.alpha < largest:
        raise InvalidInput(
            f"this is attempt {attempt} of the {first.attempts} that audit {first.audit_id} declared, and an"
            f" earlier one had its part of alpha {largest:g}: alpha of all of them is {largest:g} or more",
            "alpha",
        )
    return Place(attempt, first.attempts)


def run_numbers(filters: Mapping[str, Sequence[str | int]]) -> list[int]:
    """The runs that the filters name."""
    return [int(number) for number in filters.get("runs", ())]


def statuses_of(filters: Mapping[str, Sequence[str | int]]) -> list[InstanceStatus]:
    """Those of the instances that the filters admit."""
    return [InstanceStatus(str(name)) for name in filters.get("statuses", AUDITABLE)]


def _checked_filters(filters: Mapping[str, Sequence[str | int]]) -> dict[str, list[str | int]]:
    known = {**FILTERS, "statuses": tuple(status.value for status in AUDITABLE)}
    if unknown := sorted(set(filters) - {*known, "runs"}):
        raise InvalidInput(
            f"there is no filter {unknown[0][:50]!r}, only {', '.join((*known, 'runs'))}", "filters"
        )
    named = {name: list(map(str, values)) for name, values in filters.items() if name != "runs"}
    found: dict[str, list[str | int]] = {
        name: [*values] for name, values in checked_filters(named, known).items()
    }
    if filters.get("runs"):
        found["runs"] = sorted({_run_number(value) for value in filters["runs"]})
    return found


def _run_number(value: str | int) -> int:
    text = str(value)
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    if not 0 < number <= LARGEST_ID:
        raise InvalidInput(f"runs are numbers of this project's runs, not {text[:50]!r}", "filters")
    return number

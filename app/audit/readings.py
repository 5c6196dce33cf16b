"""What second readings tell about readers. Pure."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from app.guarantee.labels import Labelled
from app.guarantee.plans import miss_rate_limit
from app.pipeline import Part

_DIGITS = 10**4  # of the limit, rounded up, as in the certificate


class SecondReadings(NamedTuple):
    """Of drawn rows that the seed gave to a second reader."""

    twice: int  # read by one person or two
    second_done: int
    found_again: int  # defects that second readings found
    missed: int  # of those, called ok by the first reading
    miss_rate_limit: float


def second_readings(rows: Iterable[Labelled], alpha: float) -> SecondReadings:
    chosen = [row for row in rows if row.part == Part.RANDOM and row.twice]
    done = [row for row in chosen if len(row.readings) > 1]
    again = [row for row in done if row.readings[1].defect and row.defect]
    missed = sum(not row.readings[0].defect for row in again)
    limit = math.ceil(_DIGITS * miss_rate_limit(missed, len(again), alpha)) / _DIGITS
    return SecondReadings(len(chosen), len(done), len(again), missed, limit)

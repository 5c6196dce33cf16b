"""A few seconds of what once stopped the service: everybody is answered meanwhile, and nothing is a 500."""

from collections.abc import Iterator

import pytest

from benchmarks._siege_report import Suffered, share
from benchmarks.siege import load_named, measure

pytestmark = pytest.mark.stack

SECONDS = 2.0
CHOSEN = (
    "one token (C1)",
    "one browser (C1)",
    "bogus cookies, warm (H1)",
    "large bodies (H6)",
    "odd cursors and cookies (L1)",
    "double submits (M3, M4)",
)
SERVED = 0.9  # within two seconds; other tests have the machine, too


def test_nobody_who_asks_much_or_oddly_keeps_others_from_their_answers() -> None:
    found = measure(SECONDS, [load_named(name) for name in CHOSEN], goes_on=False)
    assert [what for one in found for what in _broken(one)] == []
    assert sum(one.tally.outcomes.total() for one in found) > 300


def _broken(one: Suffered) -> Iterator[str]:
    """What is wrong on however slow a machine."""
    if one.stood_still or one.restarts:
        yield f"{one.load.name}: stood still or ended"
    if share(one.reads) < SERVED:
        yield f"{one.load.name}: {share(one.reads):.0%} of what others asked was answered"
    if one.errors_500:
        yield f"{one.load.name}: {one.errors_500} times 500, {one.broken}"
    yield from (f"{one.load.name}: {what}" for what in one.own_faults())

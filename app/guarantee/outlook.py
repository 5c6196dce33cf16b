"""What an audit still needs, and what other plans would have. Pure."""

import math
from functools import lru_cache
from typing import NamedTuple

from app.guarantee.labels import Claim, Standing
from app.guarantee.plans import expected_draws_left, fixed_plan, mean_draws
from app.guarantee.sequential import Test, tolerance_of
from app.pipeline import AuditState

_KEPT = 4096  # answers that are not computed again: pages ask every few seconds
_PLANS = 3  # fixed plans, with 0, 1, 2 defects allowed
_RATES = (
    ("no defects", 0),
    ("an eighth of what is tolerated", 8),
    ("a quarter of it", 4),
    ("half of it", 2),
)


class Forecast(NamedTuple):
    """Draws until a lot is certified, on average, if it holds so many defects."""

    rate: str  # in words
    defects_in_lot: int
    draws: float


class Plan(NamedTuple):
    """So many draws, looked at once at their end, that pass with at most so many defects."""

    defects_allowed: int
    draws: int


class Outlook(NamedTuple):
    """How far an audit is."""

    tolerance: int  # of the random part; while the census is read, if no more of it is removed
    upper_bound: int  # most defects in the random part that are not ruled out
    draws_left: float | None  # on average at the present rate; None where that rate would never be certified
    reviews_left: int | None  # those draws less what is read already, and the rest of the census


def outlook(claim: Claim, standing: Standing) -> Outlook:
    test = claimed_test(claim, standing.census_removed)
    bound = max([*standing.upper_bounds[-1:].tolist(), standing.found]) if standing.draws else claim.rows
    left = 0.0 if standing.state == AuditState.CERTIFIED else None
    if standing.state == AuditState.OPEN:
        left = _draws_left(standing.draws, standing.defects, test)
    reviews = None
    if left is not None:
        census_left = claim.census_rows - standing.census_read
        reviews = max(0, math.ceil(left) - standing.early) + census_left
    return Outlook(test.tolerance, bound, left, reviews)


def claimed_test(claim: Claim, census_removed: int = 0) -> Test:
    """What is tested, if no more of the census is removed than so many rows."""
    tolerance = tolerance_of(claim.max_defect_rate, claim.rows + claim.census_rows - census_removed)
    return Test(claim.rows, tolerance, claim.alpha, claim.prior)


def forecasts(test: Test) -> list[Forecast]:
    """From a lot without defects to one with half of what is tolerated."""
    tolerated = min(test.tolerance, test.rows)
    found = [(words, tolerated // part if part else 0) for words, part in _RATES]
    return [Forecast(words, in_lot, _mean_draws(test, in_lot)) for words, in_lot in found]


@lru_cache(_KEPT)
def fixed_plans(test: Test) -> tuple[Plan, ...]:
    """Plans with the same guarantee, as far as they exist for this lot."""
    if test.tolerance >= test.rows:
        return ()
    return tuple(
        Plan(allowed, fixed_plan(test.rows, test.tolerance, test.alpha, allowed))
        for allowed in range(min(_PLANS, test.tolerance + 1))
    )


@lru_cache(_KEPT)
def _mean_draws(test: Test, defects_in_lot: int) -> float:
    return mean_draws(test, defects_in_lot)


@lru_cache(_KEPT)
def _draws_left(draws: int, defects: int, test: Test) -> float | None:
    return expected_draws_left(draws, defects, test)

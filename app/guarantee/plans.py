"""What an audit costs and how often it errs: exact, by recursion over (draws, defects). Pure."""

import math
from collections import deque
from collections.abc import Iterator
from itertools import islice

import numpy as np

from app.errors import InvalidInput
from app.guarantee.sequences import FloatArray, log_falling, log_likelihood
from app.guarantee.sequential import Test, boundary_at

_FIRST_BLOCK = 512  # draws whose boundary is computed at once; doubled until the end is in sight
_NEGLIGIBLE = 1e-18  # of a chance; N such states together stay below every digit that is shown
_HALVINGS = 60  # of an interval of rates


def false_certification(test: Test, defects_in_lot: int) -> float:
    """The chance that a lot with so many defects is certified, looking after every draw to the end of the lot."""
    return deque(_certified_by(test, defects_in_lot), maxlen=1).pop()


def mean_draws(test: Test, defects_in_lot: int) -> float:
    """Draws until a lot with so many defects is certified, on average; N where it never is."""
    return _mean_draws_left(_certified_by(test, defects_in_lot), test.rows)


def expected_draws_left(draws: int, defects: int, test: Test, rate: float | None = None) -> float | None:
    """Draws still needed on average if a share `rate` of the rows to come are defects.

    None where the lot would then hold more than is tolerated. The present rate, when none is given, is the
    posterior mean, which is the prior's before the first draw.
    """
    if rate is None:
        rate = (test.prior.a + defects) / (test.prior.a + test.prior.b + draws)
    left = test.rows - draws
    in_lot = defects + round(rate * left)
    if in_lot > test.tolerance:
        return None
    return _mean_draws_left(_certified_by(test, in_lot, draws, defects), left)


def fixed_plan(rows: int, tolerance: int, alpha: float, most_defects: int) -> int:
    """Draws of a plan that passes with at most so many defects, and is looked at once, at its end.

    Its chance to pass a lot with more than `tolerance` defects is at most alpha (hypergeometric, exact).
    Raises `InvalidInput` where not even reading all `rows` would do.
    """
    if not most_defects <= tolerance < rows:
        raise InvalidInput(
            f"no plan allows {most_defects} defects where {tolerance} of {rows} are tolerated", "most_defects"
        )
    few, enough = 0, rows
    while enough - few > 1:
        middle = (few + enough) // 2
        if _chance_of_at_most(most_defects, middle, tolerance + 1, rows) <= alpha:
            enough = middle
        else:
            few = middle
    return enough


def miss_rate_limit(missed: int, found: int, alpha: float) -> float:
    """The share of defects that first readings miss is at most this, with confidence 1 - alpha.

    `found` are the defects that second readings found, `missed` those of them that the first reading had called
    ok. Exact (Clopper & Pearson 1934) where readers miss independently of each other; 1 where nothing is known.
    """
    if not 0 <= missed <= found:
        raise InvalidInput(f"{missed} of {found} defects cannot have been missed", "missed")
    if missed == found:
        return 1.0
    low, high = missed / found, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _binomial_chance_of_at_most(missed, found, middle) > alpha:
            low = middle
        else:
            high = middle
    return high


# --- the recursion ----------------------------------------------------------------------------------------


def _mean_draws_left(certified_by: Iterator[float], left: int) -> float:
    return math.fsum(1 - certified for certified in islice(certified_by, left))


def _certified_by(test: Test, in_lot: int, draws: int = 0, defects: int = 0) -> Iterator[float]:
    """The chance to be certified at or before each draw, from `draws` on, if the lot holds `in_lot` defects.

    Ends with the last draw that can change it. The state is the chance of every number of defects so far with
    which one is not certified yet: those at or below the boundary leave, those above the tolerance never can.
    """
    if not defects <= in_lot <= test.rows - (draws - defects):
        raise InvalidInput(f"a lot of {test.rows} cannot hold {in_lot} defects", "defects_in_lot")
    certified, state, least = 0.0, np.ones(1), defects
    for draw, most in enumerate(_boundary_from(draws, test), start=draws):
        leaving = max(0, most + 1 - least)
        certified += float(state[:leaving].sum())
        yield certified
        state, least = state[leaving:], least + leaving
        if not state.size:
            return
        if draw < test.rows:
            state = _after_a_draw(state, (in_lot - least - np.arange(len(state))) / (test.rows - draw))
            if least + len(state) - 1 > test.tolerance or state[-1] < _NEGLIGIBLE:
                state = state[:-1]


def _after_a_draw(state: FloatArray, chance: FloatArray) -> FloatArray:
    """The state one draw later, one longer, where a defect comes with this `chance` in each entry."""
    found = state * chance
    return np.append(state - found, 0.0) + np.append(0.0, found)


def _boundary_from(draws: int, test: Test) -> Iterator[int]:
    """The boundary at each n from `draws` to N, computed as far as it is asked for."""
    block = _FIRST_BLOCK
    while draws <= test.rows:
        yield from boundary_at(np.arange(draws, min(draws + block, test.rows + 1)), test).tolist()
        draws, block = draws + block, 2 * block


def _chance_of_at_most(most: int, draws: int, in_lot: int, rows: int) -> float:
    """Hypergeometric: at most so many defects among the draws."""
    defects = np.arange(min(most, draws) + 1)
    all_draws = np.full_like(defects, draws)
    ways = log_falling(all_draws, defects) - log_falling(defects, defects)
    return float(np.exp(ways + log_likelihood(all_draws, defects, np.full_like(defects, in_lot), rows)).sum())


def _binomial_chance_of_at_most(most: int, trials: int, share: float) -> float:
    return math.fsum(
        math.comb(trials, hits) * share**hits * (1 - share) ** (trials - hits) for hits in range(most + 1)
    )

"""How long to wait before another try. Pure but for the dice."""

import math
import random

LONGEST_WAIT_S = 3600.0
"""Nothing is due later than so long after it was put back: a row that is was never put there by this program."""

_LONGEST_S = 60.0


def jitter(attempt: int) -> float:
    """Seconds until try number `attempt` + 1: full jitter, doubling, at most a minute.

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    return random.uniform(0, min(_LONGEST_S, 0.25 * 2 ** min(max(attempt, 0), 16)))


def bounded(seconds: float) -> float:
    """A wait that an interval takes, from none to an hour."""
    return min(LONGEST_WAIT_S, max(0.0, seconds)) if math.isfinite(seconds) else LONGEST_WAIT_S

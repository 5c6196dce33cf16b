"""How long to wait before another try. Pure but for the dice."""

import random

_LONGEST_S = 60.0


def jitter(attempt: int) -> float:
    """Seconds until try number `attempt` + 1: full jitter, doubling, at most a minute.

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    return random.uniform(0, min(_LONGEST_S, 0.25 * 2**attempt))

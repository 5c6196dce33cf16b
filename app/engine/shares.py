"""Who gets the next calls in flight: a fair share for every run, weighted by priority. Pure."""

import heapq
from collections.abc import Sequence
from typing import NamedTuple


class Contender(NamedTuple):
    """A run that has something to do."""

    run_id: int
    weight: int
    in_flight: int


def fair_shares(room: int, contenders: Sequence[Contender]) -> dict[int, int]:
    """How many of `room` new items each run may take: run id -> items; those that get none are left out.

    Each place goes to the run with the least in flight for its weight (the older run where two are equal), so
    that in flight approaches the ratio of the weights whatever a run has taken before.
    """
    taken = dict.fromkeys((one.run_id for one in contenders), 0)
    line = [((one.in_flight + 1) / one.weight, one.run_id, one) for one in contenders]
    heapq.heapify(line)
    for _ in range(room if line else 0):
        _, run_id, one = line[0]
        taken[run_id] += 1
        heapq.heapreplace(line, ((one.in_flight + taken[run_id] + 1) / one.weight, run_id, one))
    return {run_id: places for run_id, places in taken.items() if places}

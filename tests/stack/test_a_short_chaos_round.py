"""Two kills -9 and a flushed Redis in a run: every item has one outcome, and every call is accounted for."""

import pytest

from benchmarks.chaos import Round, measure

pytestmark = pytest.mark.stack

BLOWS = (Round.kill_a_child, Round.flush_redis, Round.kill_everything)


def test_a_run_survives_kills_and_a_flushed_redis() -> None:
    found = measure(120, BLOWS, in_flight=32, latency_s=0.2, await_leases=False)
    assert found["broken"] == []
    assert (found["items"], found["kills"], found["flushes"]) == (120, 2, 1)
    assert found["paid_twice"] <= found["in_flight_at_kills"]

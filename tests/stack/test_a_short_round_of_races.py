"""Eight readers, some of them killed, some overtaken: nobody is given what is not theirs, and nothing is lost."""

import pytest

from benchmarks._product import fresh_home
from benchmarks.races import Size, measure
from tests.stack.product import running

pytestmark = pytest.mark.stack

SIZE = Size(readers=8, instances=50, kills=4, expiries=8)


def test_readers_who_race_and_are_killed_never_decide_on_the_same_twice() -> None:
    with fresh_home() as home, running(home) as product:
        found = measure(product, runs=1, size=SIZE, seed=1)
    assert found["broken"] == []
    assert (found["clients"], found["instances"], found["kills"]) == (8, 50, 4)
    assert found["decisions"] >= 50

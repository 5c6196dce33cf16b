"""How much is claimed ahead: enough for the places that become free, and never without bound."""

from hypothesis import given
from hypothesis import strategies as st

from app.engine.pace import Pace, Places


@given(places=st.integers(1, 256), turns=st.lists(st.tuples(st.integers(0, 256), st.booleans())))
def test_no_more_is_ever_open_than_three_times_the_places(places: int, turns: list[tuple[int, bool]]) -> None:
    pace, in_the_air, landed = Pace(places), 0, 0
    for most, is_kept_back in turns:
        lands = min(most, in_the_air, places)
        in_the_air, landed = in_the_air - lands, landed + lands
        pace.begin_turn(lands)
        in_the_air += pace.room(in_the_air, landed)
        assert in_the_air + landed <= 3 * places
        landed = landed if is_kept_back else 0


@given(places=st.integers(8, 256))
def test_what_landed_in_a_turn_is_claimed_for_the_next_and_a_few_more(places: int) -> None:
    pace = Pace(places)
    pace.begin_turn(landed=places // 2)

    assert pace.room(in_the_air=places, landed=0) >= places // 2


def test_a_turn_is_short_while_little_is_in_the_air() -> None:
    assert Pace.turn_s(1) < Pace.turn_s(16) < Pace.turn_s(32) == Pace.turn_s(500)


def test_every_model_has_places_of_its_own_and_a_few_when_all_together_are_at_the_bound() -> None:
    places = Places(32)
    taken = {f"slow {number}": 64 for number in range(4)}

    assert places.room("quick", {"slow": 64}, {}) >= 32
    assert places.room("slow", {"slow": 64}, {}) == 0
    assert places.room("quick", taken, {}) == 4

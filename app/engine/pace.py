"""How much a drain claims at a time, and how long its turns last. Pure."""

_TURN_S = 0.3  # with many calls in flight: what a turn costs hardly grows with its group
_MANY = 32
_SHORT_TURN_S = 0.05  # the fewer there are, the sooner one is seen to
_LEAST_AHEAD = 4.0
_LANDED_AGAIN = 1.5  # times what landed in the last turn, since turns differ
_AHEAD_KEPT = 0.9  # of a turn's foresight, for the turns that follow
_MOST_OPEN = 3  # times the places: as many again ahead, and as many that wait to be recorded


class Pace:
    """Keeps every place taken: what is claimed ahead takes the places that become free before the next turn.

    A place is one of `places` calls in flight. A call is open from its claim until its reply is recorded; in
    between it is in the air, waiting for a place or for its reply, and then has landed.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._ahead = _LEAST_AHEAD

    def begin_turn(self, landed: int) -> None:
        """As many places as became free in the last turn become free in the next."""
        foreseen = max(_LEAST_AHEAD, _LANDED_AGAIN * landed, _AHEAD_KEPT * self._ahead)
        self._ahead = min(self._places, foreseen)

    def room(self, in_the_air: int, landed: int) -> int:
        """How many more may be claimed. Those that have landed hold no place, but there must not be ever more."""
        wanted = self._places + int(self._ahead) - in_the_air
        return max(0, min(wanted, _MOST_OPEN * self._places - in_the_air - landed))

    @staticmethod
    def turn_s(in_the_air: int) -> float:
        """Seconds from the beginning of a turn to the next."""
        return max(_SHORT_TURN_S, _TURN_S * min(1.0, in_the_air / _MANY))

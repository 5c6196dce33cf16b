"""How much a drain claims at a time, and how long its turns last. Pure."""

from collections.abc import Mapping

_TURN_S = 0.3  # with many calls in flight: what a turn costs hardly grows with its group
_MANY = 32
_SHORT_TURN_S = 0.05  # the fewer there are, the sooner one is seen to
_LEAST_AHEAD = 4.0
_LANDED_AGAIN = 1.5  # times what landed in the last turn, since turns differ
_AHEAD_KEPT = 0.9  # of a turn's foresight, for the turns that follow
_MODELS = 8  # that may have all their places taken at once
_IN_ALL = 512  # calls of all models
_LEAST_OF_A_MODEL = 4
_MOST_OPEN = 3  # times the places: as many again ahead, and as many that wait to be recorded


class Places:
    """The places of a process: as many for every model, so that a slow one does not hold those of a fast one.

    There is a bound for all models together, below which each keeps a few.
    """

    def __init__(self, of_a_model: int) -> None:
        self.of_a_model = of_a_model
        self._in_all = max(2 * of_a_model, min(_MODELS * of_a_model, _IN_ALL))  # with what is claimed ahead
        self._paces: dict[str, Pace] = {}

    def begin_turn(self, landed: Mapping[str, int]) -> None:
        """`landed` in the last turn, by model."""
        for model, pace in self._paces.items():
            pace.begin_turn(landed.get(model, 0))

    def room(self, model: str, in_the_air: Mapping[str, int], landed: Mapping[str, int]) -> int:
        """How many more of a model may be claimed."""
        pace = self._paces.setdefault(model, Pace(self.of_a_model))
        left = max(_LEAST_OF_A_MODEL, self._in_all - sum(in_the_air.values()))
        return min(left, pace.room(in_the_air.get(model, 0), landed.get(model, 0)))


class Pace:
    """Keeps every place of a model taken: what is claimed ahead takes the places that become free before the next turn.

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

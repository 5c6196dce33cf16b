"""Claimed items until their calls are opened, and what is done where that fails for one of them.

Like replies (see `landing`): a group goes in one transaction, and in parts where it fails. An item that cannot be
prepared ends as an error; a run whose rows somebody holds is left alone for a while, and the others go on.
"""

import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby

import structlog
from sqlalchemy.orm import Session, sessionmaker

from app.engine.asking import Departure, TakenOff, hand_back, not_prepared, take_off
from app.engine.handlers import Handlers
from app.engine.items import claim_by_model, claim_suspect
from app.storage.faults import Refusal, refusal_of, words_of
from app.storage.tables import WorkItem

_SUSPECTS_EVERY_S = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0

_log = structlog.get_logger()


class Departures:
    """What a process has claimed and not sent yet. For one thread."""

    def __init__(self, sessions: sessionmaker[Session], handlers: Handlers, owner: str) -> None:
        self._sessions = sessions
        self._handlers = handlers
        self._owner = owner
        self._queue: list[Sequence[WorkItem]] = []
        self._avoided: dict[int, tuple[float, int]] = {}  # runs: until when, and after how many tries
        self._suspects_at = 0.0

    @property
    def held(self) -> list[WorkItem]:
        """Leased items whose calls are not open yet."""
        return [item for group in self._queue for item in group]

    def claim(self, room: Callable[[str], int], besides: Collection[int] = ()) -> dict[str, int]:
        """Claim up to `room(model)` items that ask a model, but none of the runs `besides`; how many of each."""
        now = time.monotonic()
        avoided = [*besides, *(run_id for run_id, (until, _) in self._avoided.items() if until > now)]
        with self._sessions.begin() as session:
            claimed = claim_by_model(session, room, self._owner, avoided)
            suspects: list[WorkItem] = []
            if now >= self._suspects_at:
                self._suspects_at = now + _SUSPECTS_EVERY_S
                suspects = claim_suspect(session, self._owner, avoided)
        groups = [[item for items in claimed.values() for item in items], suspects]
        self._queue += (group for group in groups if group)
        return {model: len(items) for model, items in claimed.items()}

    def take_off(self) -> Iterator[tuple[list[Departure], set[int]]]:
        """Open the calls of what was claimed: those that may be sent now, and the runs of which something ended.

        Raises where the database is away, or takes nothing at all: what has no call by then is kept.
        """
        later: list[Sequence[WorkItem]] = []
        while self._queue:
            group = self._queue[0]
            taken, parts = self._take_off(group)
            self._queue[:1] = parts
            if taken.busy:
                later.append(taken.busy)
            leaving = {one.item.id for one in taken.departures} | {item.id for item in taken.busy}
            for run_id in {one.item.run_id for one in taken.departures}:
                self._avoided.pop(run_id, None)
            yield taken.departures, {item.run_id for item in group if item.id not in leaving}
        self._queue = later

    def _take_off(self, group: Sequence[WorkItem]) -> tuple[TakenOff, Iterable[Sequence[WorkItem]]]:
        nothing = TakenOff([], [])
        run_ids = {item.run_id for item in group}
        try:
            with self._sessions.begin() as session:
                return take_off(session, self._handlers, group), ()
        except Exception as fault:
            refusal = refusal_of(fault)
            if refusal is Refusal.AWAY:
                raise
            if len(run_ids) > 1:
                return nothing, _by_run(group)
            if refusal is not Refusal.FAULT:
                self._avoid(group, fault)
            elif len(group) > 1:
                middle = len(group) // 2
                return nothing, (group[:middle], group[middle:])
            else:
                _log.error("departure_fault", item_id=group[0].id, exc_info=fault)
                why = f"the question could not be prepared: {type(fault).__name__}: {words_of(fault)}"
                self._try(partial(not_prepared, item=group[0], why=why))
        return nothing, ()

    def _avoid(self, group: Sequence[WorkItem], fault: Exception) -> None:
        run_id = group[0].run_id
        tries = self._avoided.get(run_id, (0.0, 0))[1]
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**tries) * random.uniform(0.75, 1.25)
        self._avoided[run_id] = (time.monotonic() + pause, min(tries + 1, 16))
        _log.warning("run_left_alone", run_id=run_id, error=words_of(fault), again_in_s=round(pause))
        why = (f"database_{refusal_of(fault)}", f"the database did not take it yet: {words_of(fault)}")
        self._try(partial(hand_back, items=group, seconds=pause, why=why))

    def _try(self, how: Callable[[Session], None]) -> None:
        """Where even this fails the lease runs out, and the item is somebody's again."""
        try:
            with self._sessions.begin() as session:
                how(session)
        except Exception as fault:
            if refusal_of(fault) in (Refusal.AWAY, Refusal.CLOSED):
                raise
            _log.error("not_handed_back", exc_info=fault)


def _run_of(item: WorkItem) -> int:
    return item.run_id


def _by_run(group: Sequence[WorkItem]) -> Iterable[Sequence[WorkItem]]:
    return [list(of_run) for _, of_run in groupby(sorted(group, key=_run_of), key=_run_of)]

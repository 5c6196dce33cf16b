"""Replies that wait to be recorded, and what is done where the database does not take one of them.

A group is recorded in one transaction. Where that fails because of what is in it, it is halved until the one that
is at fault stands alone: that one ends as an error and the others are as if nothing had been. Where it fails because
somebody holds the rows, or the database has no room, the replies of that run are put aside and tried again later, and
the others go on.
"""

import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple

import structlog
from sqlalchemy.orm import Session, sessionmaker

from app.engine.handlers import Handlers
from app.engine.recording import Landed, land, land_as_fault, land_bare
from app.storage.faults import Refusal, refusal_of, words_of

_GROUP = 256  # replies recorded in one transaction
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 30.0

_log = structlog.get_logger()


class _Group(NamedTuple):
    """Replies that are recorded together, no earlier than `at` by the monotonic clock."""

    landed: Sequence[Landed]
    at: float = 0.0
    tries: int = 0


class Landings:
    """What a process has received and not recorded yet. For one thread."""

    def __init__(self, sessions: sessionmaker[Session], handlers: Handlers) -> None:
        self._sessions = sessions
        self._handlers = handlers
        self._queue: list[_Group] = []  # of this round
        self._aside: list[_Group] = []

    def add(self, landed: Sequence[Landed]) -> None:
        self._queue += (_Group(landed[start : start + _GROUP]) for start in range(0, len(landed), _GROUP))

    @property
    def waiting(self) -> list[Landed]:
        """Those that the next round records. What was put aside is not among them."""
        return [one for group in self._queue for one in group.landed]

    @property
    def aside(self) -> list[Landed]:
        """Those that wait for rows that somebody else holds."""
        return [one for group in self._aside for one in group.landed]

    def record(self) -> Iterator[Landed]:
        """Record all that is due, and yield what is done with.

        Raises where the database is away: what is not recorded by then is kept.
        """
        now = time.monotonic()
        self._queue += (group for group in self._aside if group.at <= now)
        self._aside = [group for group in self._aside if group.at > now]
        busy: set[int] = set()  # runs whose rows somebody holds: one wait for each in a round
        while self._queue:
            done, parts = self._record(self._queue[0], busy)
            self._queue[:1] = parts
            yield from done

    def _record(self, group: _Group, busy: set[int]) -> tuple[Iterable[Landed], Iterable[_Group]]:
        """Record a group: what is done with, and the parts that have to be tried by themselves."""
        run_ids = {one.item.run_id for one in group.landed}
        if run_ids <= busy:
            self._put_aside(group)
            return (), ()
        try:
            left = self._attempt(partial(land, handlers=self._handlers, landed=group.landed))
        except Exception as fault:  # noqa: BLE001 - whatever it is, it must not cost the others their replies
            may_pass = _may_pass(fault)
            if len(run_ids) > 1:
                return (), _by_run(group)
            if may_pass:
                _log.warning("not_recorded_yet", run_id=next(iter(run_ids)), error=words_of(fault))
                busy.update(run_ids)
                for half in _halves(group):
                    self._put_aside(half)
                return (), ()
            return ((), _halves(group)) if len(group.landed) > 1 else (self._end_as_fault(group, fault), ())
        if left:
            self._put_aside(group._replace(landed=[one for one in group.landed if one.call_id in left]))
        return [one for one in group.landed if one.call_id not in left], ()

    def _end_as_fault(self, group: _Group, fault: Exception) -> Iterable[Landed]:
        """Record one as an error, with as much of its reply as can be stored."""
        [one] = group.landed
        _log.error("landing_fault", call_id=one.call_id, item_id=one.item.id, exc_info=fault)
        why = f"the reply could not be recorded: {type(fault).__name__}: {words_of(fault)}"
        for resort in (partial(land_as_fault, why=why, one=one), partial(land_bare, one=one)):
            try:
                left = self._attempt(resort)
            except Exception as again:  # noqa: BLE001 - there is one resort more
                if _may_pass(again):
                    left = {one.call_id}
                else:
                    _log.error("landing_fault_again", call_id=one.call_id, exc_info=again)
                    continue
            if left:
                self._put_aside(group)
                return ()
            return (one,)
        return (one,)  # its lease runs out, and the sweeper closes its call

    def _attempt(self, how: Callable[[Session], Collection[int]]) -> Collection[int]:
        with self._sessions.begin() as session:
            return how(session)

    def _put_aside(self, group: _Group) -> None:
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**group.tries)
        at = time.monotonic() + pause * random.uniform(0.75, 1.25)
        self._aside.append(_Group(group.landed, at, min(group.tries + 1, 16)))


def _may_pass(fault: Exception) -> bool:
    """Whether the same may be taken later; raises where the database is away."""
    refusal = refusal_of(fault)
    if refusal is Refusal.AWAY:
        raise fault
    return refusal is not Refusal.FAULT


def _run_of(landed: Landed) -> int:
    return landed.item.run_id


def _by_run(group: _Group) -> Iterator[_Group]:
    for _, of_run in groupby(sorted(group.landed, key=_run_of), key=_run_of):
        yield group._replace(landed=list(of_run))


def _halves(group: _Group) -> Iterator[_Group]:
    middle = (len(group.landed) + 1) // 2
    for half in (group.landed[:middle], group.landed[middle:]):
        if half:
            yield group._replace(landed=half)

"""What stands still, and why: work that nobody takes, holders that are silent, rows that a session keeps from everybody.

Reads only, by small indexes; what costs more is asked of runs of which nothing has moved for a minute.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.orm import Session

from app.engine.blockers import Blocker, clock, lasting, since_when, what_blocks
from app.engine.items import has_open_item, in_state
from app.engine.runs import STAGE_OF_KIND
from app.engine.sweep import SWEEPER, queues_alive
from app.llm.limiter import gates
from app.pipeline import MODEL_STAGES, OFFLINE, ItemState, RunKind, RunState, Stage
from app.queue import QUEUES, doorbell_for
from app.settings import settings
from app.storage.tables import Call, Run, RunEvent, Worker, WorkItem

STILL_AFTER = timedelta(seconds=60)
_SILENT_AFTER = timedelta(seconds=45)  # after its end, a lease should have been found by the sweeper
_MOST_RUNS = 50

_GOING = (RunState.QUEUED, RunState.RUNNING)


class Stall(NamedTuple):
    """A run of which nothing moves."""

    run_id: int
    since: datetime
    now: datetime
    why: str  # a clause
    is_blocked: bool = (
        False  # by a session or a sweeper that does not run, rather than by a provider or its turn
    )

    @property
    def lasting(self) -> str:
        return lasting(self.now - self.since)


class Standstill(NamedTuple):
    """What stands still in the whole instance, at one moment of the database's clock."""

    now: datetime
    blockers: Sequence[Blocker]
    sweeper_since: datetime | None  # since when it has not run, where that is too long
    stalls: Sequence[Stall]
    going: int  # runs that should move

    @property
    def is_total(self) -> bool:
        """Whether no run at all can go on, for a cause of ours."""
        return bool(self.stalls) and len(self.stalls) == self.going and all(s.is_blocked for s in self.stalls)

    @property
    def sentences(self) -> list[str]:
        """The causes first. Empty when everything moves."""
        holding = [one for one in self.blockers if one.waiting or one.holds_sweeper or self.stalls]
        said = [one.says(self.now) for one in holding]
        if self.sweeper_since is not None:
            said.append(_sweeper_says(self.sweeper_since, self.now))
        for stall in self.stalls:
            why = "for this reason" if stall.is_blocked and said else stall.why
            said.append(f"run {stall.run_id}: nothing has moved {since_when(stall.since, self.now)}, {why}")
        return said


def standstill(session: Session) -> Standstill:
    """Look at everything that is under way."""
    now = _now(session)
    found = what_blocks(session)
    sweeper = _sweeper_since(session, now)
    going = session.scalar(select(func.count()).where(Run.state.in_(_GOING))) or 0
    stalls = _stalls(session, now, found, sweeper, true())
    return Standstill(now, found, sweeper, stalls, going)


def stall_of(session: Session, run: Run) -> Stall | None:
    """Why nothing of a run has moved for a minute; None while it moves, or need not."""
    if run.state not in _GOING:
        return None
    now = _now(session)
    if not _still_runs(session, now, Run.id == run.id):
        return None
    stalls = _stalls(session, now, what_blocks(session), _sweeper_since(session, now), Run.id == run.id)
    return stalls[0] if stalls else None


def _now(session: Session) -> datetime:
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return now


def _sweeper_since(session: Session, now: datetime) -> datetime | None:
    """When the sweeper last ran, if that is long ago although there are workers to run it."""
    seen = session.scalar(select(Worker.seen_at).where(Worker.name == SWEEPER))
    if seen is None or now - seen < STILL_AFTER or not queues_alive(session) & set(QUEUES.values()):
        return None
    return seen


def _sweeper_says(since: datetime, now: datetime) -> str:
    return f"the sweeper, which frees what silent workers hold, has not run {since_when(since, now)}"


# --- runs -------------------------------------------------------------------------------------------------


class _Still(NamedTuple):
    run_id: int
    stage: Stage
    models: Collection[str]
    since: datetime


def _still_runs(session: Session, now: datetime, which: ColumnElement[bool]) -> list[_Still]:
    """Runs that should move and of which nothing has for a minute. A job steps; of a generation calls are closed."""
    closed = select(func.max(Call.closed_at)).where(Call.run_id == Run.id).scalar_subquery()
    decided = select(func.max(RunEvent.at)).where(RunEvent.run_id == Run.id).scalar_subquery()
    moved = func.greatest(Run.created_at, Run.started_at, Run.stepped_at, decided, closed)
    rows = session.execute(
        select(Run.id, Run.kind, Run.params, moved)
        .where(Run.state.in_(_GOING), which, moved < now - STILL_AFTER)
        .order_by(moved)
        .limit(_MOST_RUNS)
    )
    return [
        _Still(run_id, STAGE_OF_KIND[RunKind(kind)], _models_of(params), since)
        for run_id, kind, params, since in rows
    ]


def _models_of(params: dict[str, Any]) -> set[str]:
    return {str(params[name]) for name in ("generator", "discriminator") if params.get(name)} - {OFFLINE}


def _stalls(
    session: Session,
    now: datetime,
    holding: Sequence[Blocker],
    sweeper_since: datetime | None,
    which: ColumnElement[bool],
) -> list[Stall]:
    still = _still_runs(session, now, which)
    if not still:
        return []
    around = _Around(
        now,
        queues_alive(session),
        _last_heard(session),
        [one for one in holding if one.holds_work or one.holds_sweeper or one.waiting],
        sweeper_since,
        _busy(session),
    )
    return [stall for one in still if (stall := _stall(session, one, around)) is not None]


class _Around(NamedTuple):
    """What is the same for all runs."""

    now: datetime
    alive: Collection[str]  # queues
    heard: dict[str, datetime]  # queue -> when a worker of it was last heard
    blockers: Sequence[Blocker]
    sweeper_since: datetime | None
    busy: dict[str, set[int]]  # queue -> runs of which a worker holds something


class _Items(NamedTuple):
    """The open items of one run."""

    due: int
    due_since: datetime | None
    later: int
    next_try: datetime | None
    held: int
    silent: int
    silent_since: datetime | None


def _stall(session: Session, still: _Still, around: _Around) -> Stall | None:
    items = _items(session, still.run_id, around.now)
    blocked = _blocked(around)
    why = blocked or "the sweeper should see to it"
    stall = Stall(still.run_id, still.since, around.now, why, bool(blocked))
    if items.silent and items.silent_since:
        silent = since_when(items.silent_since, around.now)
        held = f"{_items_are(items.silent)} held by a worker that is silent {silent}"
        return stall._replace(why=f"{held}; {stall.why}")
    if items.held:
        return stall._replace(why=blocked or _held_up(session, still, items, around))
    if items.due and items.due_since:
        since = max(still.since, items.due_since)
        why = _not_taken(still, items.due, since, around)
        has_waited = around.now - since >= STILL_AFTER  # what has come due just now is about to be taken
        return stall._replace(since=since, why=why) if has_waited else None
    if items.later and items.next_try:
        why = _waits_for_try(session, still.run_id, items, around.now)
        return stall._replace(why=why, is_blocked=False)
    if session.scalar(select(has_open_item()).where(Run.id == still.run_id)):
        return None
    return stall._replace(why=f"all of it has ended, but the run is not closed; {stall.why}")


def _not_taken(still: _Still, due: int, since: datetime, around: _Around) -> str:
    """Why no worker takes what is due."""
    waits = f"{_items_wait(due)} for a worker {since_when(since, around.now)}"
    queue = QUEUES[doorbell_for(still.stage)]
    if blocked := _blocked(around):
        return f"{waits}; {blocked}"
    if queue not in around.alive:
        heard = around.heard.get(queue)
        last = f"the last was heard {since_when(heard, around.now)}" if heard else "none has been seen"
        return f"{waits}, and no worker serves “{queue}”: {last}"
    others = sorted(around.busy.get(queue, set()) - {still.run_id})
    if others:
        named = ", ".join(map(str, others[:3]))
        return f"{_items_wait(due)} for a turn: the workers are busy with run {named}"
    return f"{waits}, and the one that is there takes none; it starts anew by itself, else restart it"


def _blocked(around: _Around) -> str:
    """What of ours holds the work up; empty where nothing does."""
    if around.blockers:
        return around.blockers[0].says(around.now)
    if around.sweeper_since is not None:
        return _sweeper_says(around.sweeper_since, around.now)
    return ""


def _items(session: Session, run_id: int, now: datetime) -> _Items:
    of_run = WorkItem.run_id == run_id
    is_due = WorkItem.next_attempt_at <= now
    due, due_since, later, next_try = session.execute(
        select(
            func.count().filter(is_due),
            func.min(WorkItem.next_attempt_at).filter(is_due),
            func.count().filter(~is_due),
            func.min(WorkItem.next_attempt_at).filter(~is_due),
        ).where(of_run, in_state(ItemState.PENDING))
    ).one()
    is_silent = WorkItem.lease_expires_at < now - _SILENT_AFTER
    held, silent, silent_since = session.execute(
        select(
            func.count().filter(~is_silent),
            func.count().filter(is_silent),
            func.min(WorkItem.lease_expires_at).filter(is_silent),
        ).where(of_run, in_state(ItemState.LEASED))
    ).one()
    return _Items(due, due_since, later, next_try, held, silent, silent_since)


def _held_up(session: Session, still: _Still, items: _Items, around: _Around) -> str:
    """A living worker holds some of it, and yet nothing ends."""
    if still.stage not in MODEL_STAGES:
        taken = lasting(around.now - still.since)
        return f"a worker is at it, and its step has taken {taken} so far; cancel the run if that is too long"
    if waits := _waits_for_provider(still.models):
        return waits
    calls, oldest = session.execute(
        select(func.count(), func.min(Call.sent_at)).where(Call.state == "sent", Call.run_id == still.run_id)
    ).one()
    if not calls:
        return f"{_items_are(items.held)} held by a worker that has not sent their calls yet"
    sent = f"{calls} call{'s' * (calls > 1)} to the provider"
    deadline_s = settings().llm_timeout_s
    since = since_when(oldest, around.now)
    if around.now - oldest > timedelta(seconds=deadline_s) + STILL_AFTER:
        return f"{sent} past the deadline of {deadline_s:g} s, the oldest {since}; restart the worker if this lasts"
    return f"{sent} without an answer yet, the oldest {since}"


def _waits_for_provider(models: Collection[str]) -> str:
    """What the limiter knows; empty where nothing is held back."""
    for model, gate in gates(models).items():
        if gate.blocked_s > 1:
            return (
                f"the provider of {model} asked to wait another {lasting(timedelta(seconds=gate.blocked_s))}"
            )
        if gate.is_probing:
            silent = lasting(timedelta(seconds=gate.without_success_s))
            return f"{model} has answered nothing for {silent}; one call every few seconds tries again"
    return ""


def _waits_for_try(session: Session, run_id: int, items: _Items, now: datetime) -> str:
    last: Any = session.execute(
        select(WorkItem.error_code, WorkItem.error_detail)
        .where(WorkItem.run_id == run_id, in_state(ItemState.PENDING), WorkItem.error_code.is_not(None))
        .limit(1)
    ).one_or_none()
    error = f", after {last.error_code}: {_short(last.error_detail)}" if last else ""
    assert items.next_try is not None
    soon = lasting(items.next_try - now)
    return (
        f"{_items_wait(items.later)} for another try, the first in {soon} at {clock(items.next_try)}{error}"
    )


def _last_heard(session: Session) -> dict[str, datetime]:
    rows = session.execute(select(Worker.queue, func.max(Worker.seen_at)).group_by(Worker.queue))
    return {queue: heard for queue, heard in rows}


def _busy(session: Session) -> dict[str, set[int]]:
    """Runs of which a worker holds something now, by queue."""
    rows = session.execute(
        select(WorkItem.stage, WorkItem.run_id)
        .where(in_state(ItemState.LEASED), WorkItem.lease_expires_at > func.now())
        .distinct()
    )
    busy: dict[str, set[int]] = {}
    for stage, run_id in rows:
        busy.setdefault(QUEUES[doorbell_for(Stage(stage))], set()).add(run_id)
    return busy


# --- words ------------------------------------------------------------------------------------------------


def _items_are(number: int) -> str:
    return "1 item is" if number == 1 else f"{number:,} items are"


def _items_wait(number: int) -> str:
    return "1 item waits" if number == 1 else f"{number:,} items wait"


def _short(detail: str | None) -> str:
    words = " ".join((detail or "no more is known").split())
    return words if len(words) <= 160 else f"{words[:160]}…"

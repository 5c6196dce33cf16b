"""What becomes of replies: kept raw, settled, read by their stage, their items closed. One transaction a group."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy.orm import Session

from app.engine.calls import (
    Held,
    close_call,
    close_failed_call,
    lock_open_calls,
    never_sent,
    settle_calls,
)
from app.engine.closing import Closing, close, fail, finish, put_back
from app.engine.handlers import Handlers
from app.engine.items import lock_held
from app.engine.money import Rates, rates_of
from app.engine.runs import hold_run, tell
from app.engine.waiting import jitter
from app.errors import DomainError, Unparsable
from app.llm.client import Failure, ProviderError
from app.pipeline import MODEL_STAGES, Stage
from app.prompting.prompt import Reply
from app.prompting.storable import storable
from app.storage.tables import Call, WorkItem

_USABLE_TRIES = 3  # a question, and two more with a changed request
_MOST_CALLS = 8  # of any kind, for one item
_LONGEST_READ = (
    262_144  # characters: reading a text that no question asked for must not keep the others waiting
)
NOT_RECORDED = "not_recorded"
_NOTHING_KEPT = "the reply could not be recorded, and nothing of it could be stored"

_log = structlog.get_logger()


class CalledBack(NamedTuple):
    """Given up by its own worker: it stops, or the item is no longer its own."""

    was_sent: bool


class Landed(NamedTuple):
    """A call that is over, with what came of it."""

    call_id: int
    item: WorkItem
    outcome: Reply | ProviderError | CalledBack
    latency_ms: int


def land(session: Session, handlers: Handlers, landed: Sequence[Landed]) -> set[int]:
    """Record a group of replies. Doing it twice changes nothing: a call that is closed already is left alone.

    Returns the calls that could not be seen to: somebody else has their rows, or those of their items, locked.
    """
    calls, busy = _open_calls(session, landed)
    rates = rates_of(session, {call.model for call in calls.values()})
    held = lock_held(session, [one.item for one in landed if one.call_id in calls])
    busy |= {one.call_id for one in landed if one.item.id in held.busy}
    landed = [one for one in landed if one.call_id in calls and one.call_id not in busy]
    calls = {one.call_id: calls[one.call_id] for one in landed}
    before = {call.id: Held(call.state, call.reserved_micro) for call in calls.values()}
    unsent = {one.call_id for one in landed if one.outcome == CalledBack(was_sent=False)}
    for one in landed:
        if one.call_id not in unsent:
            _close_call(calls[one.call_id], one, rates)
    late = [one.item.id for one in landed if one.item.id not in held.locked]
    if late:
        _log.info("late_results_ignored", items=late)
    answered = [
        (one.item, calls[one.call_id])
        for one in landed
        if isinstance(one.outcome, Reply) and one.item.id in held.locked
    ]
    closings = record(session, handlers, answered)
    closings += [
        _after_failure(one.item, one.outcome)
        for one in landed
        if not isinstance(one.outcome, Reply) and one.item.id in held.locked
    ]
    session.flush()
    close(session, closings)
    never_sent(session, [calls[call_id] for call_id in unsent])
    settle_calls(session, [(call, before[call.id]) for call in calls.values() if call.id not in unsent])
    for run_id, reason in _reasons_to_hold(landed, calls, rates):
        hold_run(session, run_id, reason)
    tell(session, {one.item.run_id for one in landed})
    return busy


def land_as_fault(session: Session, why: str, one: Landed) -> set[int]:
    """Record a reply that could not be recorded otherwise: it is kept raw, and its item ends as an error (I7)."""
    calls, busy = _open_calls(session, [one])
    if not calls:
        return busy
    call = calls[one.call_id]
    before = Held(call.state, call.reserved_micro)
    outcome = one.outcome
    if isinstance(outcome, CalledBack):
        outcome = ProviderError(Failure.PERMANENT, NOT_RECORDED, why, may_be_billed=True)
    _close_call(call, one._replace(outcome=outcome), rates_of(session, {call.model}))
    call.error_code, call.error_detail = NOT_RECORDED, storable(why)
    session.flush()
    close(session, [fail(one.item, NOT_RECORDED, why)])
    settle_calls(session, [(call, before)])
    tell(session, [one.item.run_id])
    return busy


def land_bare(session: Session, one: Landed) -> set[int]:
    """The last resort: nothing of what came back is written. The call may be billed, its item ends as an error."""
    calls, busy = _open_calls(session, [one])
    for call in calls.values():
        lost = ProviderError(Failure.PERMANENT, NOT_RECORDED, _NOTHING_KEPT, may_be_billed=True)
        before = Held(call.state, call.reserved_micro)
        close_failed_call(call, lost, 0)
        session.flush()
        close(session, [fail(one.item, NOT_RECORDED, _NOTHING_KEPT)])
        settle_calls(session, [(call, before)])
    return busy


def _open_calls(session: Session, landed: Sequence[Landed]) -> tuple[dict[int, Call], set[int]]:
    found = lock_open_calls(session, [one.call_id for one in landed])
    return {call.id: call for call in found.locked}, found.busy


def record(
    session: Session, handlers: Handlers, answered: Sequence[tuple[WorkItem, Call]], *, refund: bool = False
) -> list[Closing]:
    """Let the stages keep the replies; what is to become of each item. `refund`: nothing was sent for these."""
    closings: list[Closing] = []
    for stage in MODEL_STAGES:
        of_stage = [(item, call) for item, call in answered if item.stage == stage]
        group = [(item, call) for item, call in of_stage if len(call.reply or "") <= _LONGEST_READ]
        for item, call in of_stage:
            if len(call.reply or "") > _LONGEST_READ:
                said = f"the reply has {len(call.reply or ''):,} characters"
                too_long = Unparsable(said, "reply_too_long")
                closings.append(_after_unusable(session, handlers, item, call, too_long))
        if not group:
            continue
        for (item, call), result in zip(group, handlers[stage].record(session, group), strict=True):
            if isinstance(result, Unparsable):
                closings.append(_after_unusable(session, handlers, item, call, result))
            elif isinstance(result, DomainError):
                closings.append(fail(item, NOT_RECORDED, str(result)))
            else:
                call.usable = True
                closings.append(finish(item, result))
    return [closing._replace(refund=refund) for closing in closings]


def _close_call(call: Call, landed: Landed, rates: Rates) -> None:
    match landed.outcome:
        case Reply() as reply:
            close_call(call, reply, rates[call.model], landed.latency_ms)
        case ProviderError() as error:
            close_failed_call(call, error, landed.latency_ms)
        case CalledBack():  # what the provider did with it nobody knows
            gone = ProviderError(
                Failure.TRANSIENT, "called_back", "its worker gave it up", may_be_billed=True
            )
            close_failed_call(call, gone, landed.latency_ms)


def _after_unusable(
    session: Session, handlers: Handlers, item: WorkItem, call: Call, error: Unparsable
) -> Closing:
    call.usable = False
    call.error_code, call.error_detail = storable(error.code), storable(str(error))
    if not (error.is_final or item.reparse or item.bad_replies + 1 >= _USABLE_TRIES):
        return put_back(item, why=(error.code, str(error)), bad_reply=True)
    try:
        ending = handlers[Stage(item.stage)].give_up(session, item, call, error)
    except DomainError as fault:
        return fail(item, NOT_RECORDED, str(fault))
    return finish(item, ending, why=(error.code, str(error)))


def _after_failure(item: WorkItem, outcome: ProviderError | CalledBack) -> Closing:
    if isinstance(outcome, CalledBack):
        return put_back(item, refund=not outcome.was_sent)
    why = (outcome.code, outcome.detail)
    if outcome.failure is Failure.FATAL:
        return put_back(item, refund=True, why=why)
    if outcome.failure is Failure.RATE_LIMITED or outcome.never_sent:
        return put_back(item, seconds=outcome.retry_after or jitter(1), refund=True, why=why)
    if outcome.failure is Failure.PERMANENT or item.attempts >= _MOST_CALLS:
        return fail(item, *why)
    return put_back(item, seconds=outcome.retry_after or jitter(item.attempts), why=why)


def _reasons_to_hold(
    landed: Iterable[Landed], calls: Mapping[int, Call], rates: Rates
) -> Iterator[tuple[int, str]]:
    for one in landed:
        if isinstance(one.outcome, ProviderError) and one.outcome.failure is Failure.FATAL:
            yield one.item.run_id, f"{one.outcome.code}: {one.outcome.detail}"
        call = calls[one.call_id]
        if rates[call.model] is not None and call.cost_micro > call.reserved_micro:
            yield call.run_id, f"call {call.id} was billed above its upper bound"

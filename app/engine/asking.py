"""From claimed items to questions: prepared, answered without a call where that can be, paid for in advance.

One transaction a group; what it returns may be sent once it is committed. The claim is a transaction of its own
before it: what cannot be prepared is known by name then, and the process that dies of it has said what it held.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.engine.calls import (
    cached_call,
    cached_replies,
    complaints,
    count_calls,
    last_replies,
    new_call,
    offline_call,
    request_hash,
)
from app.engine.closing import Closing, close, fail, put_back
from app.engine.handlers import Handlers
from app.engine.items import lock_held
from app.engine.money import Rates, rates_of, reserve
from app.engine.recording import record
from app.engine.roles import model_of
from app.engine.runs import ASKS_NOTHING, hold_run, mark_started, tell
from app.errors import DomainError
from app.pipeline import MODEL_STAGES
from app.prompting.prompt import Answered, Prompt
from app.prompting.repeating import again
from app.storage.tables import Call, Run, WorkItem

_BUDGET_WAIT_S = 1.0  # while calls in flight may give some of their reservations back


class Departure(NamedTuple):
    """A call that may be sent."""

    item: WorkItem
    call: Call
    prompt: Prompt


class _Question(NamedTuple):
    item: WorkItem
    prompt: Prompt
    model: str
    hash: str
    has_budget: bool
    may_be_asked: bool


class TakenOff(NamedTuple):
    """`busy`: items that are ours and that somebody else has locked at the moment; nothing was done for them."""

    departures: list[Departure]
    busy: list[WorkItem]


def take_off(session: Session, handlers: Handlers, items: Sequence[WorkItem]) -> TakenOff:
    """Open the calls that claimed `items` need. Those that are no longer ours are left out."""
    held = lock_held(session, items)
    busy = [item for item in items if item.id in held.busy]
    items = [item for item in items if item.id in held.locked]
    if not items:
        return TakenOff([], busy)
    closings: list[Closing] = []
    answered = _read_again(session, [item for item in items if item.reparse], closings)
    prepared, prompts = _prepare(session, handlers, [item for item in items if not item.reparse], closings)
    questions = _questions(session, prompts)
    cached = cached_replies(session, {question.hash for question in questions})
    answered += prepared
    answered += [
        (one.item, cached_call(one.item, one.prompt, cached[one.hash]))
        for one in questions
        if one.hash in cached
    ]
    session.add_all(call for _, call in answered)
    session.flush()
    closings += record(session, handlers, answered, refund=True)
    session.flush()
    close(session, closings)
    count_calls(session, [call for _, call in answered])
    departures = _pay_in_advance(session, [one for one in questions if one.hash not in cached])
    run_ids = {item.run_id for item in items}
    mark_started(session, run_ids)
    tell(session, run_ids)
    return TakenOff(departures, busy)


def not_prepared(session: Session, item: WorkItem, why: str) -> None:
    """An item whose preparation failed in a way that nobody foresaw ends as an error."""
    close(session, [fail(item, "not_prepared", why)])
    tell(session, [item.run_id])


def hand_back(session: Session, items: Sequence[WorkItem], seconds: float, why: tuple[str, str]) -> None:
    """Items for which nothing could be done now, due again after `seconds`."""
    close(session, [put_back(item, seconds=seconds, refund=True, why=why) for item in items])


def _read_again(
    session: Session, items: Sequence[WorkItem], closings: list[Closing]
) -> list[tuple[WorkItem, Call]]:
    """The last raw replies, for items that are to be read again without paying."""
    replies = last_replies(session, items)
    for item in items:
        if item.id not in replies:
            closings.append(fail(item, "no_reply", "there is no reply that could be read again"))
    return [
        (item, cached_call(item, replies[item.id], replies[item.id])) for item in items if item.id in replies
    ]


def _prepare(
    session: Session, handlers: Handlers, items: Sequence[WorkItem], closings: list[Closing]
) -> tuple[list[tuple[WorkItem, Call]], list[tuple[WorkItem, Prompt]]]:
    """What was answered without a model, and the questions to ask one. Failures are added to `closings`."""
    answered: list[tuple[WorkItem, Call]] = []
    prompts: list[tuple[WorkItem, Prompt]] = []
    unusable = complaints(session, items)
    for stage in MODEL_STAGES:
        group = [item for item in items if item.stage == stage]
        if not group:
            continue
        for item, question in zip(group, handlers[stage].prepare(session, group), strict=True):
            if isinstance(question, DomainError):
                closings.append(fail(item, "not_prepared", str(question)))
            elif isinstance(question, Answered):
                answered.append((item, offline_call(item, question)))
            elif item.id in unusable:
                prompts.append((item, again(question, unusable[item.id])))
            else:
                prompts.append((item, question))
    return answered, prompts


def _questions(session: Session, prompts: Sequence[tuple[WorkItem, Prompt]]) -> list[_Question]:
    run_ids = {item.run_id for item, _ in prompts}
    columns = (Run.id, Run.params, Run.budget_micro, Run.progress)
    runs: dict[int, tuple[dict[str, Any], bool, bool]] = {
        run_id: (params, budget is not None, not progress.get(ASKS_NOTHING))
        for run_id, params, budget, progress in session.execute(select(*columns).where(Run.id.in_(run_ids)))
    }
    questions: list[_Question] = []
    for item, prompt in prompts:
        params, has_budget, may_ask = runs[item.run_id]
        model = model_of(item.stage, params)
        hashed = request_hash(prompt, model)
        questions.append(_Question(item, prompt, model, hashed, has_budget, may_ask))
    return questions


def _pay_in_advance(session: Session, questions: Sequence[_Question]) -> list[Departure]:
    """Reserve what each call can cost at most; what a budget does not hold is put back.

    While the run has calls in flight it waits for what they give back, and is held only when they are home.
    """
    rates = rates_of(session, {one.model for one in questions})
    departures: list[Departure] = []
    for run_id, group in groupby(sorted(questions, key=_by_run), key=_by_run):
        asked = list(group)
        unpriced = _without_price(asked, rates)
        if not all(one.may_be_asked for one in asked):
            close(session, [put_back(one.item, refund=True) for one in asked])
            hold_run(
                session, run_id, "what was read again has to be judged, which asks a model: resume to let it"
            )
            continue
        if unpriced is not None:
            close(session, [put_back(one.item, refund=True) for one in asked])
            hold_run(session, run_id, f"price of {unpriced} is unknown, and the run has a budget")
            continue
        calls = [new_call(one.item, one.prompt, one.model, one.hash, rates[one.model]) for one in asked]
        affordable = reserve(session, run_id, [call.reserved_micro for call in calls])
        departures += [
            Departure(one.item, call, one.prompt)
            for one, call in zip(asked, calls[:affordable], strict=False)
        ]
        rest = asked[affordable:]
        if rest:
            is_waiting = affordable > 0 or _has_calls_in_flight(session, run_id)
            wait = _BUDGET_WAIT_S if is_waiting else 0
            close(session, [put_back(one.item, seconds=wait, refund=True) for one in rest])
            if not is_waiting:
                hold_run(session, run_id, "budget")
    session.add_all(departure.call for departure in departures)
    session.flush()
    return departures


def _by_run(question: _Question) -> int:
    return question.item.run_id


def _without_price(questions: Sequence[_Question], rates: Rates) -> str | None:
    return next((one.model for one in questions if one.has_budget and rates[one.model] is None), None)


def _has_calls_in_flight(session: Session, run_id: int) -> bool:
    in_flight = select(Call.id).where(Call.run_id == run_id, Call.state == "sent").limit(1)
    return session.scalars(in_flight).first() is not None

"""The call ledger: a row is written `sent` before the request and closed after; a crash leaves it `unknown`."""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from app.engine.money import Rate, most_it_can_cost, settle, what_it_cost
from app.llm.client import ProviderError
from app.pipeline import OFFLINE, ItemState
from app.prompting.prompt import Answered, Prompt, Reply
from app.prompting.storable import storable, tokens
from app.storage.tables import Call, CallTally, RunEvent, WorkItem


def request_hash(prompt: Prompt, model: str) -> str:
    """SHA-256 over all that makes a request what it is. What it repeats stands in its text already."""
    asked = {name: value for name, value in prompt._asdict().items() if name != "repeats"}
    rendered = json.dumps([model, asked], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(rendered.encode()).hexdigest()


def complaints(session: Session, items: Sequence[WorkItem]) -> dict[int, str]:
    """What was wrong with the last unusable reply of each item that is to be asked again, by item."""
    repeated = [item.id for item in items if item.bad_replies]
    if not repeated:
        return {}
    newest = select(func.max(Call.id)).where(Call.item_id.in_(repeated), Call.usable.is_(False))
    rows = session.execute(
        select(Call.item_id, Call.error_detail).where(Call.id.in_(newest.group_by(Call.item_id)))
    )
    return {item_id: why for item_id, why in rows if why is not None}


def new_call(item: WorkItem, prompt: Prompt, model: str, hashed: str, rate: Rate | None) -> Call:
    """A call that is about to be sent, with what it may cost at most."""
    call = _call_about(item, prompt, model, "sent", hashed)
    call.reserved_micro = most_it_can_cost(prompt, rate) if rate else 0
    return call


def offline_call(item: WorkItem, answered: Answered) -> Call:
    """The offline teacher's or judge's answer, kept like any other call."""
    call = _call_about(item, answered, OFFLINE, "done", "")
    _keep_reply(call, answered.reply)
    return call


def cached_call(item: WorkItem, question: Prompt | Call, earlier: Call) -> Call:
    """The reply that the same request had before, read again: nothing is sent and nothing paid."""
    call = _call_about(item, question, earlier.model, "cached", earlier.request_hash)
    call.reply, call.finish_reason, call.refusal = earlier.reply, earlier.finish_reason, earlier.refusal
    call.prompt_tokens, call.completion_tokens = earlier.prompt_tokens, earlier.completion_tokens
    return call


def cached_replies(session: Session, hashes: Collection[str]) -> dict[str, Call]:
    """The newest usable reply to each request that was answered before, by its hash."""
    if not hashes:
        return {}
    newest = select(func.max(Call.id)).where(Call.request_hash.in_(hashes), Call.usable.is_(True))
    calls = session.scalars(select(Call).where(Call.id.in_(newest.group_by(Call.request_hash))))
    return {call.request_hash: call for call in calls}


def last_replies(session: Session, items: Sequence[WorkItem]) -> dict[int, Call]:
    """The last reply that each item had, by item."""
    if not items:
        return {}
    newest = select(func.max(Call.id)).where(
        Call.item_id.in_([item.id for item in items]), Call.state.in_(("done", "cached"))
    )
    calls = session.scalars(select(Call).where(Call.id.in_(newest.group_by(Call.item_id))))
    return {call.item_id: call for call in calls}


class OpenCalls(NamedTuple):
    """Calls whose reply was not kept yet: locked by this transaction, and the ids that somebody else has locked."""

    locked: Sequence[Call]
    busy: set[int]


def lock_open_calls(session: Session, call_ids: Collection[int]) -> OpenCalls:
    """Those of `call_ids` whose reply was not kept yet.

    A sweeper may have found one lost before its reply came: it is `unknown` then, and can still be closed.
    """
    is_open = (Call.id.in_(call_ids), Call.state.in_(("sent", "unknown")))
    locked = session.scalars(
        select(Call).where(*is_open).order_by(Call.id).with_for_update(key_share=True, skip_locked=True)
    ).all()
    if len(locked) == len(call_ids):
        return OpenCalls(locked, set())
    busy = set(session.scalars(select(Call.id).where(*is_open))) - {call.id for call in locked}
    return OpenCalls(locked, busy)


def close_call(call: Call, reply: Reply, rate: Rate | None, latency_ms: int) -> None:
    """Keep the raw reply, whatever it is, and what it cost."""
    _close(call, "done", latency_ms)
    _keep_reply(call, reply)
    call.cost_micro = what_it_cost(reply, rate) if rate else 0


def close_failed_call(call: Call, error: ProviderError, latency_ms: int) -> None:
    """Keep why there is no reply. An error that the provider answered with bills nothing; of a timeout or a
    broken connection nobody knows, so the call is `unknown` and its reservation stays."""
    _close(call, "unknown" if error.may_be_billed else "failed", latency_ms)
    call.error_code = error.code
    call.error_detail = error.detail


class Held(NamedTuple):
    """How an open call stood when it was locked."""

    state: str
    reserved_micro: int


def never_sent(session: Session, calls: Sequence[Call]) -> None:
    """Forget calls that were opened but not sent: nothing was asked, nothing can be billed."""
    if not calls:
        return
    session.execute(delete(Call).where(Call.id.in_([call.id for call in calls])))
    _settle(session, [(call.run_id, call.reserved_micro, 0) for call in calls])


def settle_calls(session: Session, closed: Iterable[tuple[Call, Held]]) -> None:
    """Count closed calls, and turn their reservations into what they cost; `unknown` ones keep theirs.

    The last thing that a transaction does: it locks the counts and the runs.
    """
    closed = list(closed)
    corrected = [call for call, held in closed if held.state == "unknown"]
    count_calls(session, [call for call, _ in closed], no_longer_unknown=corrected)
    _settle(
        session,
        [
            (call.run_id, held.reserved_micro, call.cost_micro)
            for call, held in closed
            if call.state != "unknown"
        ],
    )


def _settle(session: Session, amounts: Iterable[tuple[int, int, int]]) -> None:
    of_run: dict[int, tuple[int, int]] = {}
    for run_id, reserved, cost in amounts:
        before = of_run.get(run_id, (0, 0))
        of_run[run_id] = (before[0] + reserved, before[1] + cost)
    for run_id, (reserved, cost) in sorted(of_run.items()):
        if reserved or cost:
            settle(session, run_id, reserved, cost)


def count_calls(session: Session, closed: Collection[Call], no_longer_unknown: Collection[Call] = ()) -> None:
    """Add closed calls to the tally of their run, in the transaction that closes them."""
    totals: dict[tuple[int, str, str, str], list[int]] = {}

    def add(call: Call, state: str, *amounts: int) -> None:
        total = totals.setdefault((call.run_id, call.stage, call.model, state), [0, 0, 0, 0])
        for place, amount in enumerate(amounts):
            total[place] += amount

    for call in no_longer_unknown:
        add(call, "unknown", -1)
    for call in closed:
        tokens = (call.prompt_tokens or 0, call.completion_tokens or 0)
        add(call, call.state, 1, *tokens, call.cost_micro or 0)
    if not totals:
        return
    kept = [CallTally.calls, CallTally.prompt_tokens, CallTally.completion_tokens, CallTally.cost_micro]
    rows = [
        dict(zip(("run_id", "stage", "model", "state"), key, strict=True))
        | dict(zip([column.key for column in kept], total, strict=True))
        for key, total in sorted(totals.items())
    ]
    statement = postgresql.insert(CallTally).values(rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[CallTally.run_id, CallTally.stage, CallTally.model, CallTally.state],
            set_={column.key: column + statement.excluded[column.key] for column in kept},
        )
    )


def runs_with_lost_calls(session: Session) -> Sequence[int]:
    """Runs with open calls whose item nobody holds any more."""
    return session.scalars(select(Call.run_id).where(*_cut_off()).distinct()).all()


def mark_lost_calls(session: Session, run_id: int) -> int:
    """Calls of a run whose item is no longer held were cut off by a crash: possibly billed, so their reservation
    stays.
    """
    cut_off = select(Call.id).where(Call.run_id == run_id, *_cut_off())
    lost = session.scalars(
        update(Call)
        .where(Call.id.in_(cut_off.with_for_update(of=Call, skip_locked=True)))
        .values(
            state="unknown",
            closed_at=func.now(),
            error_code="lost",
            error_detail="its worker ended before the reply was recorded",
        )
        .returning(Call)
        .execution_options(synchronize_session=False)
    ).all()
    count_calls(session, lost)
    return len(lost)


def _cut_off() -> tuple[ColumnElement[bool], ...]:
    held = select(WorkItem.id).where(WorkItem.id == Call.item_id, WorkItem.state == ItemState.LEASED).exists()
    return Call.state == "sent", ~held


def write_off(session: Session, run_id: int, person_id: int | None = None) -> int:
    """Give back what is reserved for a run's calls that may have been billed. Returns how many there were."""
    calls = session.scalars(
        select(Call)
        .where(Call.run_id == run_id, Call.state == "unknown", Call.written_off_at.is_(None))
        .order_by(Call.id)
        .with_for_update(key_share=True)
    ).all()
    given_back = sum(call.reserved_micro for call in calls)
    for call in calls:
        call.written_off_at = func.now()
        call.reserved_micro = 0
    session.flush()
    settle(session, run_id, given_back, 0)
    if calls:
        detail = f"{len(calls)} calls that may have been billed, ${given_back / 1e6:.4f} reserved"
        session.add(RunEvent(run_id=run_id, person_id=person_id, event="written off", detail=detail))
    return len(calls)


def _call_about(
    item: WorkItem, question: Prompt | Answered | Call, model: str, state: str, hashed: str
) -> Call:
    is_over = state != "sent"
    return Call(
        run_id=item.run_id,
        item_id=item.id,
        stage=item.stage,
        source_id=item.source_id,
        attempt=item.attempts,
        model=model,
        state=state,
        request_hash=hashed,
        template_hash=question.template_hash,
        good_exemplar_id=question.good_exemplar_id,
        bad_exemplar_id=question.bad_exemplar_id,
        repeats=None if isinstance(question, Answered) else question.repeats,
        closed_at=func.now() if is_over else None,
        prompt_tokens=0,
        completion_tokens=0,
        reserved_micro=0,
        cost_micro=0,
    )


def _close(call: Call, state: str, latency_ms: int) -> None:
    call.state = state
    call.latency_ms = latency_ms
    call.closed_at = func.clock_timestamp()


def _keep_reply(call: Call, reply: Reply) -> None:
    call.reply = storable(reply.text)
    call.finish_reason = storable(reply.finish_reason)
    call.refusal = None if reply.refusal is None else storable(reply.refusal)
    call.prompt_tokens = tokens(reply.prompt_tokens)
    call.completion_tokens = tokens(reply.completion_tokens)

"""The call ledger: a row is written `sent` before the request and closed after; a crash leaves it `unknown`."""

import hashlib
import json

from sqlalchemy import CursorResult, exists, func, select, update
from sqlalchemy.orm import Session

from app.engine.money import Rate, most_it_can_cost, settle, what_it_cost
from app.llm.client import ProviderError
from app.pipeline import OFFLINE, ItemState
from app.prompting.prompt import Answered, Prompt, Reply
from app.storage.tables import Call, WorkItem


def request_hash(prompt: Prompt, model: str) -> str:
    """SHA-256 over all that makes a request what it is."""
    rendered = json.dumps([model, prompt._asdict()], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(rendered.encode()).hexdigest()


def open_call(session: Session, item: WorkItem, prompt: Prompt, model: str, rate: Rate | None) -> Call:
    """Write down a call that is about to be sent, with what it may cost at most.

    The attempt is charged here, before the call, so that a crash cannot make tries free.
    """
    item.attempts += 1
    call = _call_about(item, prompt)
    call.model = model
    call.state = "sent"
    call.request_hash = request_hash(prompt, model)
    call.reserved_micro = most_it_can_cost(prompt, rate) if rate else 0
    session.add(call)
    session.flush()
    return call


def record_offline(session: Session, item: WorkItem, answered: Answered) -> Call:
    """Keep the offline teacher's or judge's answer like any other call."""
    call = _call_about(item, answered)
    call.model = OFFLINE
    call.state = "done"
    call.request_hash = ""
    _keep_reply(call, answered.reply)
    session.add(call)
    session.flush()
    return call


def close_call(session: Session, call: Call, reply: Reply, rate: Rate | None, latency_ms: int) -> None:
    """Keep the raw reply, whatever it is, and settle the money."""
    call.state = "done"
    _keep_reply(call, reply)
    call.latency_ms = latency_ms
    call.cost_micro = what_it_cost(reply, rate) if rate else 0
    settle(session, call.run_id, call.reserved_micro, call.cost_micro)


def close_failed_call(session: Session, call: Call, error: ProviderError, latency_ms: int) -> None:
    """Keep why there is no reply. An error that the provider answered with bills nothing; of a timeout or a
    broken connection nobody knows, so the call is `unknown` and its reservation stays."""
    call.state = "unknown" if error.may_be_billed else "failed"
    call.error_code = error.code
    call.error_detail = error.detail
    call.latency_ms = latency_ms
    if not error.may_be_billed:
        settle(session, call.run_id, call.reserved_micro, 0)


def usable_tries(session: Session, item: WorkItem) -> int:
    """How many replies this item has had, usable or not."""
    answered = select(func.count()).where(Call.item_id == item.id, Call.state == "done")
    return session.scalars(answered).one()


def mark_lost_calls(session: Session) -> int:
    """Calls whose item is no longer held were cut off by a crash: possibly billed, so their reservation stays."""
    held = exists().where(WorkItem.id == Call.item_id, WorkItem.state == ItemState.LEASED)
    result = session.execute(
        update(Call)
        .where(Call.state == "sent", ~held)
        .values(
            state="unknown", error_code="lost", error_detail="its worker ended before the reply was recorded"
        )
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount


def _call_about(item: WorkItem, question: Prompt | Answered) -> Call:
    return Call(
        run_id=item.run_id,
        item_id=item.id,
        stage=item.stage,
        source_id=item.source_id,
        attempt=item.attempts,
        template_hash=question.template_hash,
        good_exemplar_id=question.good_exemplar_id,
        bad_exemplar_id=question.bad_exemplar_id,
    )


def _keep_reply(call: Call, reply: Reply) -> None:
    call.reply = reply.text
    call.finish_reason = reply.finish_reason
    call.refusal = reply.refusal
    call.prompt_tokens = reply.prompt_tokens
    call.completion_tokens = reply.completion_tokens

"""Prices, upper bounds and reservations, in integer micro-dollars."""

from typing import NamedTuple

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from app.pipeline import OFFLINE
from app.prompting.prompt import Prompt, Reply
from app.storage.tables import Price, Run

# A chat template adds a few tokens around each message; no known one adds more than this.
_TOKENS_AROUND_A_MESSAGE = 16


class Rate(NamedTuple):
    """Micro-dollars per million tokens."""

    input_micro: int
    output_micro: int

    def cost(self, input_tokens: int, output_tokens: int) -> int:
        """Rounded up: a bound must not be a micro-dollar short."""
        return -(-(input_tokens * self.input_micro + output_tokens * self.output_micro) // 1_000_000)


FREE = Rate(0, 0)


def rate_of(session: Session, model: str) -> Rate | None:
    """What a model costs; None when nobody has said."""
    if model == OFFLINE:
        return FREE
    price = session.get(Price, model)
    return Rate(price.input_micro, price.output_micro) if price else None


def most_it_can_cost(prompt: Prompt, rate: Rate) -> int:
    """An upper bound before the call: a token is at least one byte of the rendered messages."""
    messages = (prompt.system, prompt.user)
    input_tokens = sum(len(message.encode()) + _TOKENS_AROUND_A_MESSAGE for message in messages)
    return rate.cost(input_tokens, prompt.max_output_tokens)


def what_it_cost(reply: Reply, rate: Rate) -> int:
    return rate.cost(reply.prompt_tokens, reply.completion_tokens)


def reserve(session: Session, run_id: int, amount: int) -> bool:
    """Promise `amount` of a run's budget. False when committed + reserved would pass the cap (I4)."""
    within = or_(Run.budget_micro.is_(None), Run.cost_micro + Run.reserved_micro + amount <= Run.budget_micro)
    promised = session.scalars(
        update(Run)
        .where(Run.id == run_id, within)
        .values(reserved_micro=Run.reserved_micro + amount)
        .returning(Run.id)
        .execution_options(synchronize_session=False)
    )
    return promised.first() is not None


def settle(session: Session, run_id: int, reserved: int, cost: int) -> None:
    """Turn a promise into what was really paid."""
    session.execute(
        update(Run)
        .where(Run.id == run_id)
        .values(reserved_micro=Run.reserved_micro - reserved, cost_micro=Run.cost_micro + cost)
        .execution_options(synchronize_session=False)
    )

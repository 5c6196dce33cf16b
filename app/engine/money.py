"""Prices, upper bounds and reservations, in integer micro-dollars."""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.errors import InvalidInput
from app.pipeline import OFFLINE
from app.prompting.prompt import Prompt, Reply
from app.prompting.storable import tokens
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


Rates = Mapping[str, Rate | None]  # by model


def checked_budget(usd: float | None) -> int | None:
    """A cap as people give it, in micro-dollars; None is no cap. Raises InvalidInput."""
    if usd is None:
        return None
    if not math.isfinite(usd) or not 0.000001 <= usd <= 1_000_000:
        raise InvalidInput("budget_usd must be from 0.000001 to 1,000,000", "budget_usd")
    return round(usd * 1_000_000)


def rates_of(session: Session, models: Collection[str]) -> Rates:
    """What models cost; None where nobody has said."""
    rates: dict[str, Rate | None] = dict.fromkeys(models)
    for price in session.scalars(select(Price).where(Price.model.in_(models))):
        rates[price.model] = Rate(price.input_micro, price.output_micro)
    return rates | {OFFLINE: FREE}


def rate_of(session: Session, model: str) -> Rate | None:
    """What a model costs; None when nobody has said."""
    return rates_of(session, [model])[model]


def most_it_can_cost(prompt: Prompt, rate: Rate) -> int:
    """An upper bound before the call: a token is at least one byte of the rendered messages."""
    messages = (prompt.system, prompt.user)
    input_tokens = sum(len(message.encode()) + _TOKENS_AROUND_A_MESSAGE for message in messages)
    return rate.cost(input_tokens, prompt.max_output_tokens)


def what_it_cost(reply: Reply, rate: Rate) -> int:
    return rate.cost(tokens(reply.prompt_tokens), tokens(reply.completion_tokens))


def reserve(session: Session, run_id: int, amounts: Sequence[int]) -> int:
    """Promise as many of `amounts`, from the first on, as a run's budget holds. Returns how many.

    committed + reserved never passes the cap (I4): the run stays locked until this transaction ends.
    """
    run = session.execute(
        select(Run.budget_micro, Run.cost_micro + Run.reserved_micro)
        .where(Run.id == run_id)
        .with_for_update(key_share=True)
    ).one()
    budget, promised = run
    within = [total for total in accumulate(amounts) if budget is None or promised + total <= budget]
    if within and within[-1]:
        session.execute(
            update(Run)
            .where(Run.id == run_id)
            .values(reserved_micro=Run.reserved_micro + within[-1])
            .execution_options(synchronize_session=False)
        )
    return len(within)


def settle(session: Session, run_id: int, reserved: int, cost: int) -> None:
    """Turn a promise into what was really paid."""
    session.execute(
        update(Run)
        .where(Run.id == run_id)
        .values(reserved_micro=Run.reserved_micro - reserved, cost_micro=Run.cost_micro + cost)
        .execution_options(synchronize_session=False)
    )

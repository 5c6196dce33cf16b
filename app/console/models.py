"""What models cost and what a provider allows for them. Touches the database; commits nothing."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from sqlalchemy import delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.errors import InvalidInput, NotFound
from app.storage.tables import Price, RateLimit

_MICRO = 1_000_000
_MOST_A_MINUTE = 1_000_000_000


def prices(session: Session) -> Sequence[Price]:
    return session.scalars(select(Price).order_by(Price.model)).all()


def limits(session: Session) -> Sequence[RateLimit]:
    return session.scalars(select(RateLimit).order_by(RateLimit.model)).all()


def set_price(session: Session, actor: int | None, model: str, input_usd: str, output_usd: str) -> None:
    """What a model costs, in dollars per million tokens of input and output."""
    price = {
        "input_micro": _micro(input_usd, "input_usd"),
        "output_micro": _micro(output_usd, "output_usd"),
    }
    if _keep(session, Price, _checked_model(model), price):
        detail = {"input_usd": input_usd.strip(), "output_usd": output_usd.strip()}
        log(session, actor, "price set", model.strip(), detail)


def forget_price(session: Session, actor: int | None, model: str) -> None:
    gone = session.scalars(delete(Price).where(Price.model == model).returning(Price.model)).one_or_none()
    if gone is None:
        raise NotFound(f"there is no price for {model}")
    log(session, actor, "price forgotten", model)


def set_limit(session: Session, actor: int | None, model: str, requests: str, tokens: str) -> None:
    """How many requests and tokens a minute a provider allows for a model; empty: unknown."""
    limit = {
        "requests_per_minute": _per_minute(requests, "requests_per_minute"),
        "tokens_per_minute": _per_minute(tokens, "tokens_per_minute"),
    }
    if limit["requests_per_minute"] is None and limit["tokens_per_minute"] is None:
        raise InvalidInput("give at least one of the two limits", "requests_per_minute")
    if _keep(session, RateLimit, _checked_model(model), limit):
        log(session, actor, "limit set", model.strip(), limit)


def forget_limit(session: Session, actor: int | None, model: str) -> None:
    gone = session.scalars(delete(RateLimit).where(RateLimit.model == model).returning(RateLimit.model))
    if gone.one_or_none() is None:
        raise NotFound(f"there is no limit for {model}")
    log(session, actor, "limit forgotten", model)


def _keep(
    session: Session, table: type[Price | RateLimit], model: str, values: Mapping[str, int | None]
) -> bool:
    """Whether that is something else than what was known of the model."""
    is_new = or_(*(getattr(table, name).is_distinct_from(value) for name, value in values.items()))
    row = insert(table).values(model=model, **values)
    kept = row.on_conflict_do_update(index_elements=["model"], set_=dict(values), where=is_new)
    return session.scalars(kept.returning(table.model)).one_or_none() is not None


def _checked_model(model: str) -> str:
    model = model.strip()
    if not 0 < len(model) <= 200:
        raise InvalidInput("name the model as the provider spells it", "model")
    return model


def _micro(dollars: str, field: str) -> int:
    try:
        amount = Decimal(dollars.strip())
    except InvalidOperation:
        raise InvalidInput("write a price in dollars, such as 0.15", field) from None
    if not (amount.is_finite() and 0 <= amount <= 10_000):
        raise InvalidInput("a price lies between 0 and 10,000 dollars", field)
    return round(amount * _MICRO)


def _per_minute(number: str, field: str) -> int | None:
    if not number.strip():
        return None
    try:
        amount = int(number)
    except ValueError:
        raise InvalidInput(f"“{number}” is not a whole number", field) from None
    if not 1 <= amount <= _MOST_A_MINUTE:
        raise InvalidInput(f"a limit lies between 1 and {_MOST_A_MINUTE:,}", field)
    return amount

"""Why nothing of a run moves: what stands in its way in the engine, or what a server below it refuses. Touches those."""

from collections.abc import Callable

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.engine.stalls import stall_of
from app.storage.faults import server_fault
from app.storage.tables import Run
from app.web.health import database_refusal, files_refusal, redis_refusal


def standing_of(session: Session, run: Run) -> str | None:
    """A sentence with the cause and what to do; None while the run moves, or need not.

    The servers are asked only about a run that stands still. A disk that is full stops work without a word in the
    tables, which could not have been written.
    """
    stall = stall_of(session, run)
    if stall is None:
        return None
    refusals = [_refusal(ask) for ask in (lambda: _database_refusal(session), redis_refusal, files_refusal)]
    why = "; ".join(filter(None, refusals)) or stall.why
    return f"Nothing has moved for {stall.lasting}: {why}."


def _database_refusal(session: Session) -> str | None:
    connection = session.connection()
    looking = connection.begin_nested()
    try:
        return database_refusal(connection)
    finally:
        looking.rollback()  # takes back the little memory that it allows itself


def _refusal(ask: Callable[[], str | None]) -> str | None:
    try:
        return ask()
    except (SQLAlchemyError, RedisError, OSError) as error:
        fault = server_fault(error)
        return fault.says if fault is not None else None

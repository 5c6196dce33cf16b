"""What an error of the database means for the work: it is away, it is full, somebody holds the rows, or a fault."""

from enum import StrEnum

import psycopg
from sqlalchemy.exc import DBAPIError


class Refusal(StrEnum):
    """Why the database did not do something."""

    AWAY = "away"  # not there, or this connection is gone: everything waits for it
    CLOSED = "closed"  # there, and does not take it for want of something: disk full, read-only, no memory
    BUSY = "busy"  # not now: somebody holds the rows, or it took too long. Others may have more luck
    FAULT = "fault"  # not this: it would say the same again


_BUSY = ("40", "55", "57014", "25P03", "25P04")  # deadlock, rows that are locked, a time-out
_CLOSED = ("53", "25006", "58")  # no room, read-only, errors of the system below
_AWAY = ("08", "57", "53300")  # of the connection, or of the server's coming and going


def refusal_of(error: BaseException) -> Refusal:
    """What `error` means, of whatever kind it is: one that is not of the database is a fault."""
    if not isinstance(error, DBAPIError):
        return Refusal.FAULT
    code = getattr(error.orig, "sqlstate", None)
    if code is None:
        lost = isinstance(error.orig, psycopg.OperationalError | psycopg.InterfaceError)
        return Refusal.AWAY if lost or error.connection_invalidated else Refusal.FAULT
    for refusal, codes in ((Refusal.BUSY, _BUSY), (Refusal.AWAY, _AWAY), (Refusal.CLOSED, _CLOSED)):
        if str(code).startswith(codes):
            return refusal
    return Refusal.FAULT


def words_of(error: BaseException) -> str:
    """The first line of what the database said, or the error itself."""
    said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    lines = str(said).strip().splitlines()
    return lines[0] if lines else type(said).__name__

"""What the database, Redis and the disk mean when they refuse, in words for people. Pure.

"It refuses" is not "it is away": a full disk does not pass within five seconds, and nobody looks at the network for it.
"""

import errno
from enum import StrEnum
from typing import NamedTuple

import psycopg
import redis
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_FREE_SPACE = "free space on it; what waits goes on by itself then"


class Refusal(StrEnum):
    """What a refusal of the database means for whoever works in the background."""

    AWAY = "away"  # not there, or this connection is gone: everything waits for it
    CLOSED = (
        "closed"  # there, and takes this from nobody for want of something: disk full, read-only, no memory
    )
    BUSY = "busy"  # not now: somebody holds the rows, or it took too long. Others may have more luck
    FAULT = "fault"  # not this: it would say the same again


class ServerFault(NamedTuple):
    """Something below us that does not do its part: the database, Redis or a disk.

    `says` is a clause without a full stop, for pages, scripts, `/readyz` and logs alike.
    """

    kind: str  # for logs: disk_full, read_only ...
    title: str  # of an error page
    says: str
    status: int = 503
    retry_after: int | None = None  # seconds; None where waiting alone does not help
    refusal: Refusal = Refusal.CLOSED


DISK_FULL = ServerFault(
    "disk_full",
    "The database's disk is full",
    f"the database refuses to write, because its disk is full; {_FREE_SPACE}",
    507,
    30,
)
OUT_OF_MEMORY = ServerFault(
    "out_of_memory", "The database is out of memory", "the database has no memory left for this", 503, 10
)
TOO_MANY_CONNECTIONS = ServerFault(
    "too_many_connections",
    "The database takes no more connections",
    "the database takes no more connections: max_connections is reached",
    503,
    5,
    refusal=Refusal.AWAY,
)
READ_ONLY = ServerFault(
    "read_only",
    "The database takes no changes",
    "the database can be read only: it is a standby, or default_transaction_read_only is on; "
    "point DATABASE_URL at the primary, or switch that off",
    503,
    30,
)
LOCKED = ServerFault(
    "locked",
    "Somebody else holds what this needs",
    "another session of the database holds the rows that this needs; `/readyz` names it",
    503,
    5,
    refusal=Refusal.BUSY,
)
TOO_SLOW = ServerFault(
    "time_limit",
    "The database took too long",
    "the database did not finish within its time limit (statement_timeout)",
    503,
    5,
    refusal=Refusal.BUSY,
)
IDLE_TOO_LONG = ServerFault(
    "transaction_time_limit",
    "The database ended this connection",
    "the database ended this connection, because its transaction stood open for too long",
    503,
    5,
    refusal=Refusal.BUSY,
)
STOPPING = ServerFault(
    "stopping",
    "The database is stopping",
    "the database is stopping or starting anew",
    503,
    5,
    refusal=Refusal.AWAY,
)
STARTING = ServerFault(
    "starting",
    "The database is starting",
    "the database is still starting, or recovers from a crash",
    503,
    5,
    refusal=Refusal.AWAY,
)
FORBIDDEN = ServerFault(
    "permission_denied",
    "The database does not allow this",
    "the database does not allow this to the role in DATABASE_URL: grant it the rights, or make it the owner",
)
OTHER_TABLES = ServerFault(
    "other_tables",
    "The tables are of another version",
    "the database has not the tables of this version: `breakwater migrate` brings older ones up to date, "
    "`breakwater doctor` says where they stand",
)
CORRUPTED = ServerFault(
    "corrupted",
    "The database's files are damaged",
    "the database says that its files are damaged; restore a backup, or look with amcheck and pg_checksums",
    refusal=Refusal.FAULT,
)
DISK_BROKEN = ServerFault(
    "disk_error", "The database cannot use its disk", "the database cannot read or write its disk", 503, 30
)
CONFLICTING = ServerFault(
    "conflict",
    "Two changes met",
    "this met another change at the same moment; try again",
    503,
    1,
    refusal=Refusal.BUSY,
)
UNKNOWN_ROLE = ServerFault(
    "not_let_in",
    "The database does not let us in",
    "the database does not let us in: the name or the password in DATABASE_URL is wrong, or pg_hba.conf refuses it",
    refusal=Refusal.AWAY,
)
NO_SUCH_DATABASE = ServerFault(
    "no_such_database",
    "The database is not there",
    "the server has no database of the name in DATABASE_URL: make it with `createdb`",
    refusal=Refusal.AWAY,
)
UNSTORABLE = ServerFault(
    "too_large_to_store",
    "A value cannot be stored",
    "a value cannot be stored: it is longer or deeper than the database takes",
    422,
    refusal=Refusal.FAULT,
)
NOBODY_LISTENS = ServerFault(
    "away",
    "The database does not answer",
    "the database does not answer: nothing listens at its address",
    503,
    5,
    refusal=Refusal.AWAY,
)
NO_SUCH_HOST = ServerFault(
    "unknown_host",
    "The database does not answer",
    "the database does not answer: the host in DATABASE_URL is not known",
    503,
    5,
    refusal=Refusal.AWAY,
)
AWAY = ServerFault(
    "away", "The database does not answer", "the database does not answer", 503, 5, refusal=Refusal.AWAY
)
NO_CONNECTION_FREE = ServerFault(
    "busy",
    "Too much at once",
    "every connection to the database is in use; try again in a few seconds",
    503,
    5,
    refusal=Refusal.AWAY,
)

# https://www.postgresql.org/docs/current/errcodes-appendix.html: the longest prefix counts.
_OF_SQLSTATE = {
    "08": AWAY,
    "25006": READ_ONLY,
    "25P03": IDLE_TOO_LONG,
    "25P04": IDLE_TOO_LONG,
    "28": UNKNOWN_ROLE,
    "3D": NO_SUCH_DATABASE,
    "3F": OTHER_TABLES,
    "40": CONFLICTING,
    "42501": FORBIDDEN,
    "42P01": OTHER_TABLES,
    "42703": OTHER_TABLES._replace(refusal=Refusal.FAULT),
    "42704": OTHER_TABLES._replace(refusal=Refusal.FAULT),
    "53": OUT_OF_MEMORY._replace(
        kind="no_resources", title="The database is overloaded", says="the database has run out of something"
    ),
    "53100": DISK_FULL,
    "53200": OUT_OF_MEMORY,
    "53300": TOO_MANY_CONNECTIONS,
    "54": UNSTORABLE,
    "55006": LOCKED,
    "55P03": LOCKED,
    "57014": TOO_SLOW,
    "57": STOPPING,
    "57P03": STARTING,
    "57P05": IDLE_TOO_LONG,
    "58": DISK_BROKEN,
    "XX001": CORRUPTED,
    "XX002": CORRUPTED,
}

# A connection that is refused carries no code, only words (libpq); other languages of a server end as `AWAY`.
# "..." stands for a name.
_OF_WORDS = (
    ("too many clients", TOO_MANY_CONNECTIONS),
    ("remaining connection slots", TOO_MANY_CONNECTIONS),
    ("too many connections", TOO_MANY_CONNECTIONS),
    ("no space left on device", DISK_FULL),
    ('database "...does not exist', NO_SUCH_DATABASE),
    ('role "...does not exist', UNKNOWN_ROLE),
    ("starting up", STARTING),
    ("not yet accepting connections", STARTING),
    ("recovery mode", STARTING),
    ("shutting down", STOPPING),
    ("administrator command", STOPPING),
    ("authentication failed", UNKNOWN_ROLE),
    ("no password supplied", UNKNOWN_ROLE),
    ("no pg_hba.conf entry", UNKNOWN_ROLE),
    ("permission denied", UNKNOWN_ROLE),
    ("could not translate host name", NO_SUCH_HOST),
    ("failed to resolve host", NO_SUCH_HOST),
    ("connection refused", NOBODY_LISTENS),
    ("no such file or directory", NOBODY_LISTENS),
)

_REDIS_AWAY = ServerFault("redis_away", "Redis does not answer", "Redis does not answer", 503, 5)
_OF_REDIS_WORDS = (
    ("OOM", "refuses to write, because it is out of memory: raise its maxmemory, or free some"),
    ("READONLY", "is a read-only replica: point REDIS_URL at the primary"),
    ("LOADING", "is still loading its data"),
    ("MISCONF", "refuses to write, because it cannot save to its disk"),
    ("NOAUTH", "asks for a password: put it into REDIS_URL"),
    ("WRONGPASS", "does not let us in: the name or the password in REDIS_URL is wrong"),
    ("Authentication required", "asks for a password: put it into REDIS_URL"),
    ("NOPERM", "does not allow this to the user in REDIS_URL"),
    ("max number of clients", "takes no more connections: its maxclients is reached"),
    ("MASTERDOWN", "has lost its primary"),
)

_FILES_FULL = ServerFault(
    "files_disk_full",
    "The disk for files is full",
    f"the disk for files is full; {_FREE_SPACE}",
    507,
    30,
)
_FILES_FORBIDDEN = ServerFault(
    "files_forbidden",
    "Files cannot be written",
    "this user may not write into the folder for files: give it FILES_DIR, or choose another",
)
_FILES_BROKEN = ServerFault(
    "files_disk_error", "The disk is broken", "the disk for files cannot be read or written"
)
_TOO_MANY_FILES = ServerFault(
    "too_many_files", "Too much at once", "too many files are open at once (see `ulimit -n`)", 503, 5
)
_OF_ERRNO = {
    errno.ENOSPC: _FILES_FULL,
    errno.EDQUOT: _FILES_FULL,
    errno.EFBIG: _FILES_FULL,
    errno.EACCES: _FILES_FORBIDDEN,
    errno.EPERM: _FILES_FORBIDDEN,
    errno.EROFS: ServerFault(
        "files_read_only",
        "Files cannot be written",
        "the disk for files can be read only: mount FILES_DIR so that it can be written",
    ),
    errno.ENOTDIR: ServerFault(
        "files_no_folder",
        "Files cannot be written",
        "FILES_DIR, or a folder above it, is a file: choose another",
    ),
    errno.EIO: _FILES_BROKEN,
    errno.ESTALE: _FILES_BROKEN,
    errno.EMFILE: _TOO_MANY_FILES,
    errno.ENFILE: _TOO_MANY_FILES,
}


def server_fault(error: BaseException) -> ServerFault | None:
    """What an error says about the servers and disks below us; None where they did their part.

    None are also values that a column does not take, and mistakes of ours in a statement.
    """
    match error:
        case PoolTimeout():
            return NO_CONNECTION_FREE
        case DBAPIError(orig=psycopg.Error() as cause):
            return _of_database(cause)
        case psycopg.Error():
            return _of_database(error)
        case redis.RedisError():
            return _of_redis(error)
        case OSError():
            return _OF_ERRNO.get(error.errno or 0)
        case _:
            return None


def refusal_of(error: BaseException) -> Refusal:
    """What an error means for the work in hand, of whatever kind it is: one that is not of the database is a fault."""
    if not isinstance(error, DBAPIError):
        return Refusal.FAULT
    fault = server_fault(error)
    if fault is not None:
        return fault.refusal
    return Refusal.AWAY if error.connection_invalidated else Refusal.FAULT


def words_of(error: BaseException) -> str:
    """The first line of what the database said, or the error itself."""
    said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    lines = str(said).strip().splitlines()
    return lines[0] if lines else type(said).__name__


def _of_database(error: psycopg.Error) -> ServerFault | None:
    code = error.sqlstate or ""
    for length in (5, 3, 2):
        if len(code) >= length and (found := _OF_SQLSTATE.get(code[:length])):
            return found
    if code or not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return None
    words = str(error).lower()
    return next(
        (fault for said, fault in _OF_WORDS if all(part in words for part in said.split("..."))), AWAY
    )


def _of_redis(error: redis.RedisError) -> ServerFault:
    words = f"{error.status_code or ''} {error}"  # redis-py takes the code off what it has a class for
    why = next((why for said, why in _OF_REDIS_WORDS if said in words), None)
    if why is None and isinstance(error, redis.ResponseError):
        why = f"refuses: {str(error)[:200]}"
    if why is None:
        return _REDIS_AWAY
    return _REDIS_AWAY._replace(kind="redis_refuses", title="Redis refuses", says=f"Redis {why}")

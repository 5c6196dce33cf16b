"""Sessions of the database that hold what the engine needs: who, since when, and whom they keep waiting.

The server ends our own sessions where they are silent for too long (`storage.database.Bounds`). Anybody else's, a
`psql` that somebody left open, is gone round where that can be and named here. Nobody's statements are told, as other
people's databases may be on the same server.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.storage.database import OWN_NAME

SWEEP_LOCK = 7_200_915
"""Any number will do: one sweeper at a time, on whichever host."""

HOLDS_FOR = timedelta(seconds=60)
"""A transaction that holds work for longer is in the way."""

WAITED_FOR = timedelta(seconds=10)
"""A lock that is given within this time is nobody's trouble."""


class Blocker(NamedTuple):
    """A session that others wait for, or that keeps work locked for long."""

    pid: int  # of the server's process
    application: str  # as the session calls itself: breakwater drain, psql ...
    is_idle: bool  # in its transaction, that is: waiting for its client
    since: datetime | None  # its transaction began; None where we may not see it
    waiting: int  # sessions that have waited for it for long
    holds_work: bool  # rows of runs, items or calls
    holds_sweeper: bool

    @property
    def is_ours(self) -> bool:
        return self.application.startswith(OWN_NAME)

    def says(self, now: datetime) -> str:
        named = f"database session {self.pid} ({self.application or 'without a name'})"
        does = "has been idle in a transaction" if self.is_idle else "has had a transaction open"
        since = f" {since_when(self.since, now)}" if self.since else ""
        kept = [
            *[f"{self.waiting} other {'session waits' if self.waiting == 1 else 'sessions wait'} for it"]
            * (self.waiting > 0),
            *["it holds rows of work"] * self.holds_work,
            *["it holds the sweeper's lock"] * self.holds_sweeper,
        ]
        return (
            f"{named} {does}{since}: {' and '.join(kept)}; end it with"
            f" SELECT pg_terminate_backend({self.pid})"
        )


# Without the right to see other roles' sessions (pg_read_all_stats), their state and times are null.
_BLOCKERS = text("""
WITH waiting AS (
    SELECT pid, unnest(pg_blocking_pids(pid)) AS blocker
    FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
      AND query_start < clock_timestamp() - :waited_for
), holding AS (
    SELECT pid,
        bool_or(locktype = 'relation') AS work,
        bool_or(locktype = 'advisory') AS sweeper
    FROM pg_locks
    WHERE granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (
        locktype = 'relation' AND mode <> 'AccessShareLock'
            AND relation IN (to_regclass('run'), to_regclass('work_item'), to_regclass('call'))
        OR locktype = 'advisory' AND classid = 0 AND objsubid = 1 AND objid = :sweep_lock
      )
    GROUP BY pid
)
SELECT session.pid,
    coalesce(session.application_name, ''),
    coalesce(session.state LIKE 'idle in transaction%', false),
    session.xact_start,
    (SELECT count(DISTINCT waiting.pid) FROM waiting WHERE waiting.blocker = session.pid),
    coalesce(holding.work, false),
    coalesce(holding.sweeper, false)
FROM pg_stat_activity AS session
LEFT JOIN holding ON holding.pid = session.pid
WHERE session.pid <> pg_backend_pid()
  AND session.wait_event_type IS DISTINCT FROM 'Lock'
  AND (
    session.pid IN (SELECT blocker FROM waiting)
    OR holding.pid IS NOT NULL AND session.xact_start < clock_timestamp() - :holds_for
  )
ORDER BY session.xact_start NULLS LAST
LIMIT 10
""")


def what_blocks(session: Session, holds_for: timedelta | None = None) -> list[Blocker]:
    """The sessions at the head of each queue of waiting ones, and those that have held work for `holds_for`.

    The longest first; without `holds_for`, `HOLDS_FOR`. A job's transaction may be among them while it computes; nobody waits for it then.
    """
    rows = session.execute(
        _BLOCKERS,
        {
            "waited_for": WAITED_FOR,
            "holds_for": HOLDS_FOR if holds_for is None else holds_for,
            "sweep_lock": SWEEP_LOCK,
        },
    )
    return [Blocker(*row) for row in rows]


def since_when(since: datetime, now: datetime) -> str:
    """`since 12:03:10 UTC (4 min)`."""
    return f"since {clock(since)} ({lasting(now - since)})"


def clock(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"


def lasting(span: timedelta) -> str:
    seconds = max(0, round(span.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172_800 else f"{seconds // 86_400} days"

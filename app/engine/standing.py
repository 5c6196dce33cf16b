"""What stands still and who is in the way: sessions of the database that hold what the engine needs.

The server ends our own sessions where they are silent for too long (`storage.database.Bounds`). Anybody else's, a
`psql` somebody left open, is gone round where that can be and named here.
"""

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.storage.database import OWN_NAME

SWEEP_LOCK = 7_200_915
"""Any number will do: one sweeper at a time, on whichever host."""

LONG = timedelta(seconds=10)
"""None of our transactions on the engine's tables takes so long while it is well."""

_HOLDERS = text("""
    WITH locks AS (
        SELECT pid, bool_or(locktype = 'advisory') AS holds_sweeper,
            array_remove(array_agg(DISTINCT CASE WHEN locktype = 'relation' THEN relation::regclass::text END), NULL)
                AS tables
        FROM pg_locks
        WHERE granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (
                (locktype = 'advisory' AND classid = 0 AND objsubid = 1 AND objid = :sweep_lock)
                OR (locktype = 'relation' AND mode NOT IN ('AccessShareLock')
                    AND relation IN ('work_item'::regclass, 'run'::regclass, 'call'::regclass, 'goal'::regclass,
                        'run_count'::regclass, 'call_tally'::regclass, 'instance'::regclass))
            )
        GROUP BY pid
    ), waiting AS (
        SELECT blocker AS pid, count(*) AS blocked
        FROM pg_stat_activity, unnest(pg_blocking_pids(pid)) AS blocker
        WHERE wait_event_type = 'Lock' GROUP BY blocker
    )
    SELECT one.pid, coalesce(one.application_name, '') AS application,
        coalesce(one.usename, '') AS role, coalesce(one.state, 'hidden') AS state,
        extract(epoch FROM clock_timestamp() - coalesce(one.xact_start, one.state_change, one.backend_start))::float8
            AS held_s,
        extract(epoch FROM clock_timestamp() - coalesce(one.state_change, one.backend_start))::float8 AS silent_s,
        coalesce(one.wait_event, '') AS waits_for, locks.tables, locks.holds_sweeper,
        coalesce(waiting.blocked, 0) AS blocked
    FROM locks JOIN pg_stat_activity AS one USING (pid) LEFT JOIN waiting USING (pid)
    WHERE one.pid <> pg_backend_pid()
        AND clock_timestamp() - coalesce(one.xact_start, one.state_change, one.backend_start) > :long
    ORDER BY held_s DESC
""")


class Holder(NamedTuple):
    """A session that has held something of the engine's for longer than is right."""

    pid: int  # of the server's process: `SELECT pg_terminate_backend(pid)` ends the session
    application: str  # as the session calls itself: breakwater drain, psql ...
    role: str
    state: str  # active, idle in transaction ...; hidden where another role's may not be seen
    held_s: float  # since its transaction began
    silent_s: float  # since it last did something, or began what it does
    waits_for: str  # the wait event of the server's process
    tables: list[str]  # of which it has locked rows
    holds_sweeper: bool
    blocked: int  # sessions that wait for it at this moment; whoever can goes round it instead

    @property
    def is_ours(self) -> bool:
        return self.application.startswith(OWN_NAME)

    def __str__(self) -> str:
        held = " and ".join(
            [*(f"rows of {', '.join(self.tables)}" for _ in self.tables[:1]), *_sweeper(self)]
        )
        return (
            f"a session of {self.application or 'an unnamed program'} (process {self.pid} of the database, {self.state})"
            f" has held {held or 'a lock'} for {self.held_s:.0f} s"
        )


def what_blocks(session: Session, longer_than: timedelta = LONG) -> list[Holder]:
    """Who has held rows of the engine's tables, or the sweeper's lock, for longer than that; the longest first.

    A job's transaction may be among them while it computes; nobody waits for it then.
    """
    rows = session.execute(_HOLDERS, {"sweep_lock": SWEEP_LOCK, "long": longer_than})
    return [Holder(*row) for row in rows]


def _sweeper(holder: Holder) -> list[str]:
    return ["the sweeper's lock"] if holder.holds_sweeper else []

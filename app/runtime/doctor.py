"""`breakwater doctor`: what is in force and whether it works. Reads the environment, disk and servers."""

import os
import platform
from collections.abc import Callable
from typing import Any, NamedTuple

import redis
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from app.engine.sweep import queues_alive
from app.errors import DomainError
from app.queue import QUEUES
from app.runtime.embedded import redis_binary
from app.runtime.home import Home
from app.settings import Settings
from app.storage.database import make_engine
from app.storage.faults import server_fault
from app.storage.migrations import why_other_tables


class Finding(NamedTuple):
    """One line of the doctor: `well` is False where something has to be done."""

    name: str
    says: str
    well: bool = True


def settings_in_force(chosen: Settings) -> list[Finding]:
    """Every setting by the name of its variable; keys and passwords are never shown."""
    shown: dict[str, Any] = chosen.model_dump() | {"breakwater_home": chosen.home, "files_dir": chosen.files}
    for name in ("database_url", "redis_url"):
        if shown[name] is not None:
            shown[name] = make_url(str(shown[name])).render_as_string(hide_password=True)
    return [
        Finding(name.upper(), "not set" if value is None else str(value))
        for name, value in sorted(shown.items())
    ]


def examine(chosen: Settings) -> list[Finding]:
    """Look at the folders, and at the servers where they run. Starts and changes nothing."""
    home = Home(chosen.home)
    running = home.running()
    found = [
        Finding("Python", platform.python_version()),
        _checked("data folder", lambda: _home_says(home)),
        _writable("files", chosen),
    ]
    database_url = running.database_url if running else chosen.database_url
    redis_url = running.redis_url if running else chosen.redis_url
    if running is None:
        found.append(Finding("instance", "not running; start it with `breakwater up`"))
    else:
        found.append(
            Finding("instance", f"{running.url} (process {running.pid}, since {running.started_at})")
        )
    if chosen.cookies_are_secure:
        found.append(_https(chosen, running.url if running else ""))
    if redis_url is None:
        found.append(_checked("Redis", lambda: f"embedded, {redis_binary()}"))
    else:
        found.append(_redis(redis_url))
    if database_url is None:
        found.append(Finding("PostgreSQL", "embedded"))
    else:
        engine = make_engine(database_url)
        found += _database(engine)
        engine.dispose()
    return found


def _https(chosen: Settings, url: str) -> Finding:
    """Cookies for https only, from a server that speaks http: something has to stand in between."""
    needed = (
        f"cookies are sent over https only, and {url or f'http://{chosen.host}:{chosen.port}'} is plain http: put a"
        " proxy before it that does https and sends X-Forwarded-Proto"
    )
    is_for_proxy_only = chosen.host in ("127.0.0.1", "::1", "localhost")
    if is_for_proxy_only or chosen.secure_cookies:
        return Finding("https", needed)
    return Finding(
        "https",
        f"{needed}, and HOST=127.0.0.1 or SECURE_COOKIES=true to say so here; or SECURE_COOKIES=false",
        well=False,
    )


def _checked(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, look())
    except DomainError as error:
        return Finding(name, str(error), well=False)


def _home_says(home: Home) -> str:
    home.check_stamp()
    return f"{home.path}" if home.stamp.exists() else f"{home.path} (made at the first start)"


def _writable(name: str, chosen: Settings) -> Finding:
    nearest = chosen.files
    while not nearest.exists():
        nearest = nearest.parent
    if os.access(nearest, os.W_OK):
        return Finding(name, str(chosen.files))
    return Finding(name, f"{nearest} cannot be written by this user", well=False)


def _redis(redis_url: str) -> Finding:
    try:
        with redis.Redis.from_url(redis_url, socket_connect_timeout=5) as client:
            client.set("breakwater:probe", "x", ex=10)  # one that answers may yet refuse to be written to
            return Finding("Redis", f"answers, version {client.info()['redis_version']}")
    except redis.RedisError as error:
        return Finding("Redis", _told(error), well=False)


def _database(engine: Engine) -> list[Finding]:
    try:
        with Session(engine) as session:
            version = session.execute(text("SHOW server_version")).scalar_one()
            found = [Finding("PostgreSQL", f"answers, version {version}")]
            if why := why_other_tables(session.connection()):
                return [*found, Finding("tables", why, well=False)]
            found.append(Finding("tables", "of this version"))
            silent = sorted(set(QUEUES.values()) - queues_alive(session))
            says = f"none seen for {', '.join(silent)}" if silent else "seen within the last minute"
            return [*found, Finding("workers", says, well=not silent)]
    except SQLAlchemyError as error:
        return [Finding("PostgreSQL", _told(error), well=False)]


def _told(error: SQLAlchemyError | redis.RedisError) -> str:
    """In our words, and in the server's own."""
    fault = server_fault(error)
    cause = error.orig if isinstance(error, DBAPIError) else error
    words = " ".join(str(cause).split())
    return f"{fault.says} ({words})" if fault is not None else words

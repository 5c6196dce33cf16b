"""The data folder of one Breakwater: what lies where, whose turn it is, and which version wrote it."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from app.errors import DomainError

LAYOUT = 1
"""Version of the data folder's layout. Raised only when an older program could break a newer folder."""

POSTGRES_MAJOR = 18
"""PostgreSQL cannot read the data of another major version, so it is part of the stamp."""

LONGEST_SOCKET_PATH = 107
"""Bytes that fit into `sun_path` of a Unix socket address on Linux (unix(7)), without the closing NUL."""


class CannotStart(DomainError):
    """The servers cannot start here; the text says why and what to do."""


class Running(NamedTuple):
    """What a supervisor tells about itself in `supervisor.json`; it carries addresses, no secrets but theirs."""

    pid: int
    started_at: str
    url: str
    database_url: str
    redis_url: str
    files_dir: str


class InUse(CannotStart):
    """Another process holds the data folder. `running` is set when it serves."""

    def __init__(self, path: Path, running: Running | None) -> None:
        self.running = running
        super().__init__(
            f"Breakwater is already running on {path}: {running.url} (process {running.pid})"
            if running
            else f"another Breakwater command is working on {path}; try again when it is done"
        )


@dataclass(frozen=True)
class Home:
    """`BREAKWATER_HOME`: `pg/` data, `run/` sockets, `files/`, `logs/`, `VERSION`, `supervisor.json`."""

    path: Path

    @property
    def postgres(self) -> Path:
        return self.path / "pg"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def files(self) -> Path:
        return self.path / "files"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def stamp(self) -> Path:
        return self.path / "VERSION"

    @property
    def record(self) -> Path:
        return self.path / "supervisor.json"

    @contextmanager
    def held(self) -> Generator[None]:
        """Make this process the only one that runs servers here, or raise `InUse`.

        A file lock, because the kernel drops it with the process, however that ends.
        """
        self.check_stamp()
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / "lock", "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InUse(self.path, self._read_record()) from None
            self.record.unlink(missing_ok=True)  # a crash left it
            self._prepare()
            try:
                yield
            finally:
                self.record.unlink(missing_ok=True)

    def running(self) -> Running | None:
        """Who serves on this home now; None when nobody does, or only a short command works on it."""
        try:
            with open(self.path / "lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return self._read_record()

    def announce(self, running: Running) -> None:
        """Let other commands find what runs on this held home."""
        _write_whole(self.record, json.dumps(running._asdict()))

    def _read_record(self) -> Running | None:
        try:
            return Running(**json.loads(self.record.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _prepare(self) -> None:
        for folder in (self.run, self.files, self.logs):
            folder.mkdir(exist_ok=True)
        self.run.chmod(0o700)
        if not self.stamp.exists():
            _write_whole(self.stamp, json.dumps({"layout": LAYOUT, "postgres": POSTGRES_MAJOR}))

    def check_stamp(self) -> None:
        """Refuse a folder that this version could break, before anything in it is touched."""
        try:
            written = json.loads(self.stamp.read_text())
            layout, postgres = int(written["layout"]), int(written["postgres"])
            postgres = self._written_by() or postgres  # the data itself knows best
        except FileNotFoundError:
            self._check_unstamped()
            return
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError, IsADirectoryError):
            raise CannotStart(
                f"{self.stamp} is not a version stamp that this Breakwater knows, so the folder is left"
                " untouched. Start the version that wrote it, or choose another BREAKWATER_HOME."
            ) from None
        if layout != LAYOUT:
            raise CannotStart(
                f"{self.path} was written by another version of Breakwater (data version {layout}, this one"
                f" reads {LAYOUT}). Nothing was changed. Start the version that wrote it, or choose another"
                " BREAKWATER_HOME."
            )
        if postgres != POSTGRES_MAJOR:
            raise CannotStart(
                f"{self.path} holds data of PostgreSQL {postgres}, this Breakwater brings PostgreSQL"
                f" {POSTGRES_MAJOR}, and nothing was changed: start the Breakwater that wrote it (`breakwater up`),"
                f" dump it (`pg_dump --host {self.run} --username breakwater --format custom --file breakwater.dump"
                " breakwater`), start this one on a new BREAKWATER_HOME, and restore it there (`pg_restore --host"
                " NEW_HOME/run --username breakwater --dbname breakwater --clean --if-exists breakwater.dump`);"
                " copy the folder files/ beside it."
            )

    def _written_by(self) -> int | None:
        """The major version that the data in `pg/` is of, where there is any."""
        try:
            return int((self.postgres / "PG_VERSION").read_text())
        except (OSError, ValueError):
            return None

    def _check_unstamped(self) -> None:
        if self.postgres.exists():
            raise CannotStart(
                f"{self.postgres} exists, but {self.stamp} does not: this folder was not made by Breakwater."
                " Nothing was changed. Choose another BREAKWATER_HOME."
            )

    @contextmanager
    def sockets(self, longest_name: str) -> Generator[Path]:
        """A private folder for Unix sockets: `run/`, or a short one under the temporary folder.

        `run/sockets` links to the short one, so that the next start removes what a crash left behind.
        """
        link = self.run / "sockets"
        _remove_linked(link)
        if len(os.fsencode(self.run / longest_name)) <= LONGEST_SOCKET_PATH:
            yield self.run
            return
        link.symlink_to(tempfile.mkdtemp(prefix="breakwater-"))
        try:
            yield link.readlink()
        finally:
            _remove_linked(link)


def _write_whole(path: Path, text: str) -> None:
    """Write a file that only its owner reads, and that is never seen half-written."""
    beside = path.with_name(path.name + ".new")
    beside.touch(mode=0o600)
    beside.write_text(text + "\n")
    beside.rename(path)


def _remove_linked(link: Path) -> None:
    if link.is_symlink():
        shutil.rmtree(link.readlink(), ignore_errors=True)
        link.unlink()

"""Private servers on a data folder: clean ends, crashes, and folders that must not be touched."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from app.runtime import processes
from app.runtime.embedded import NOBODY, Servers, demand_a_name, embedded_servers
from app.runtime.home import CannotStart, Home, InUse


def write_a_row(servers: Servers) -> None:
    with psycopg.connect(plain(servers.database_url)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")


def read_the_row(servers: Servers) -> int:
    with psycopg.connect(plain(servers.database_url)) as connection:
        found = connection.execute("SELECT number FROM kept").fetchone()
    assert found is not None
    return found[0]


def plain(database_url: str) -> str:
    return database_url.replace("+psycopg", "")


def pids_of(servers: Servers) -> list[int]:
    return [child.pid for child in servers.children if child.pid is not None]


def await_end_of(pids: list[int]) -> bool:
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


HOLDER = """
import sys, time
from pathlib import Path
from app.runtime.embedded import embedded_servers
with embedded_servers(Path(sys.argv[1])) as servers:
    print(*[child.pid for child in servers.children], flush=True)
    time.sleep(60)
"""


def hold_elsewhere(home: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """Another process that runs the servers on `home`, and the servers' process numbers."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(home)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder.stdout:
        return holder, [int(pid) for pid in holder.stdout.readline().split()]


@pytest.fixture(scope="module")
def written_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that was used once and closed cleanly."""
    home = tmp_path_factory.mktemp("h")
    with embedded_servers(home) as servers:
        write_a_row(servers)
        assert redis.Redis.from_url(servers.redis_url).ping()
        pids = pids_of(servers)
    assert len(pids) == 2
    assert await_end_of(pids)
    return home


def test_a_second_start_finds_the_same_data(written_home: Path) -> None:
    with embedded_servers(written_home) as servers:
        assert read_the_row(servers) == 7


def test_a_home_in_use_is_refused_and_left_alone(written_home: Path) -> None:
    with embedded_servers(written_home) as servers:
        with pytest.raises(InUse, match="another Breakwater"), embedded_servers(written_home):
            pass
        assert read_the_row(servers) == 7


def test_servers_do_not_outlive_a_killed_parent(written_home: Path) -> None:
    holder, pids = hold_elsewhere(written_home)
    holder.kill()
    holder.wait()

    assert await_end_of(pids)
    with embedded_servers(written_home) as servers:
        assert read_the_row(servers) == 7


def test_a_kill_of_everything_is_recovered_from(written_home: Path) -> None:
    holder, pids = hold_elsewhere(written_home)
    for pid in (holder.pid, *pids):
        os.kill(pid, signal.SIGKILL)
    holder.wait()

    with embedded_servers(written_home) as servers:
        assert read_the_row(servers) == 7


@pytest.mark.parametrize("pid_file", ["", f"{os.getpid()}\n/elsewhere\n"], ids=["nothing", "a stranger"])
def test_an_old_pid_file_with_nothing_or_a_strangers_number_is_no_obstacle(
    written_home: Path, pid_file: str
) -> None:
    (written_home / "pg" / "postmaster.pid").write_text(pid_file)

    with embedded_servers(written_home) as servers:
        assert read_the_row(servers) == 7


def test_a_half_made_data_folder_is_thrown_away(tmp_path: Path) -> None:
    with embedded_servers(tmp_path):
        pass
    (tmp_path / "pg").rename(tmp_path / "pg.new")
    (tmp_path / "pg.new" / "PG_VERSION").unlink()

    with embedded_servers(tmp_path) as servers:
        write_a_row(servers)
    assert not (tmp_path / "pg.new").exists()


def test_a_path_too_long_for_a_socket_gets_a_short_folder_that_goes_with_the_servers(tmp_path: Path) -> None:
    home = tmp_path / ("long-" * 20)
    with embedded_servers(home) as servers:
        write_a_row(servers)
        sockets = (home / "run" / "sockets").readlink()
        assert sockets.stat().st_mode & 0o077 == 0

    assert not sockets.exists()


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        ({"layout": 99, "postgres": 18}, "another version of Breakwater"),
        ({"layout": 1, "postgres": 17}, "PostgreSQL 17"),
        ({"layout": 1, "postgres": 17}, "pg_dump --host .*pg_restore --host"),
        ({"layout": float("inf"), "postgres": 18}, "not a version stamp"),
        (["?"], "not a version stamp"),
    ],
)
def test_a_folder_of_another_version_is_refused_untouched(tmp_path: Path, stamp: object, reason: str) -> None:
    (tmp_path / "VERSION").write_text(json.dumps(stamp))

    with pytest.raises(CannotStart, match=reason), embedded_servers(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["VERSION"]


def test_data_of_another_postgres_is_refused_whatever_the_stamp_says(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text(json.dumps({"layout": 1, "postgres": 18}))
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg" / "PG_VERSION").write_text("17\n")

    with pytest.raises(CannotStart, match="holds data of PostgreSQL 17"), embedded_servers(tmp_path):
        pass


def test_a_user_without_a_name_is_told_before_initdb_refuses() -> None:
    nameless = replace(NOBODY, uid=4_000_000_001)

    with pytest.raises(CannotStart, match="user id 4000000001 has no name"):
        demand_a_name(nameless)


def test_a_strangers_folder_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "pg").mkdir()

    with pytest.raises(CannotStart, match="not made by Breakwater"), embedded_servers(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["pg"]


def test_what_a_killed_supervisor_left_behind_is_ended(tmp_path: Path) -> None:
    left = subprocess.Popen(["sleep", "60"], env=os.environ | {processes.MARK: str(tmp_path)})
    other = subprocess.Popen(["sleep", "60"], env=os.environ | {processes.MARK: str(tmp_path / "other")})

    processes.end_leftovers(tmp_path)

    ended, still_there = left.poll() is not None, other.poll() is None
    for process in (left, other):
        process.kill()
        process.wait()
    assert ended
    assert still_there


def test_a_home_says_who_serves_on_it_only_while_it_does(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.running() is None
    (tmp_path / "supervisor.json").write_text("{}")
    with home.held():
        assert home.running() is None
        assert not home.record.exists()

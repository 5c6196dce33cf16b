"""Many readers at once on one project, killed and overtaken in the middle; then every decision is counted.

    python -m benchmarks.races [--full]

20 reader processes read 500 instances over REST, a tenth of them twice. They send things twice, hang up before the
answer, take back, and come late; they are killed (-9) and started again as the same person, and leases end early.
3 runs, 50 with `--full`; every other one gives to an adjudicator what three readers skipped. Nobody may get an
instance that another reader has or that they have answered; none may have more or fewer readings than are wanted;
what was answered with 201 must be there and stand.

What chance decides is repeated by `SEED=... python -m benchmarks.races`; the processor's own order is not. The
database keeps every change of a lease, by its own clock, so that no overlap is missed between two looks.
"""

import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import httpx2
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

import benchmarks
from app.accounts.tokens import create_token
from app.pipeline import InstanceStatus, Role, RunKind, RunState, Scope
from app.review.overlap import Policy, readings_wanted
from app.storage.tables import Membership, Person, Project, ReviewPolicy, Run
from benchmarks._product import database_of, fresh_home, one
from tests.stack.product import Product, running

READER = Path(__file__).with_name("_reader.py")
REASONS = ["unclear"]
PATIENCE_S = 300  # for a run
END_S = 40  # for readers that are told to stop
LOOK_EVERY_S = 0.05
EXPIRED_AT_ONCE = 2


class Size(NamedTuple):
    """Of one run."""

    readers: int = 20
    instances: int = 500
    kills: int = 15
    expiries: int = 80


class Reader(NamedTuple):
    id: int
    token: str


# --- the project ------------------------------------------------------------------------------------------

_INSTANCES = """
    INSERT INTO instance (project_id, run_id, candidate, task, language, status, task_name, instruction,
        information, solution, revision, contradictory, priority, generator, discriminator)
    SELECT :project, :run, number, 'generation', 'python', 'waiting', 'code generation',
        'Write function ' || number, '', 'def f' || number || '(): ...', 0, false, 50, 'offline', 'offline'
    FROM generate_series(1, :count) AS number"""

# Without its index the queue is sorted first: more time between what a statement sees and what it locks.
_SLOW_QUEUE = "DROP INDEX ix_instance_queue"
_HISTORY = """
    CREATE TABLE lease_history (
        id bigserial PRIMARY KEY, what text, at timestamptz DEFAULT clock_timestamp(), lease_id bigint,
        instance_id bigint, person_id bigint, token text, expires_at timestamptz);
    CREATE FUNCTION keep_lease_history() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE changed lease := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    BEGIN
        INSERT INTO lease_history (what, lease_id, instance_id, person_id, token, expires_at) VALUES (
            TG_OP, changed.id, changed.instance_id, changed.person_id, changed.token, changed.expires_at);
        RETURN NULL;
    END $$;
    CREATE TRIGGER keep_lease_history AFTER INSERT OR UPDATE OR DELETE ON lease
        FOR EACH ROW EXECUTE FUNCTION keep_lease_history()"""


def _hire(database: Engine, count: int) -> list[Reader]:
    """People who may read in every project."""
    with Session(database) as session, session.begin():
        people = [Person(name=f"racer{number}", password_hash="none") for number in range(count)]
        session.add_all(people)
        session.flush()
        session.add_all(Membership(person_id=one.id, project_id=None, role=Role.ANNOTATOR) for one in people)
        return [Reader(one.id, create_token(session, None, one, "races", Scope.REVIEW)) for one in people]


def _prepare(database: Engine, slug: str, policy: Policy, count: int) -> int:
    """A project with so many instances to read; returns its number. Leases of earlier ones are forgotten."""
    with Session(database) as session, session.begin():
        project = Project(slug=slug, name=slug, reasons=REASONS)
        session.add(project)
        session.flush()
        made = Run(project_id=project.id, kind=RunKind.GENERATE, state=RunState.COMPLETED, params={})
        session.add_all([made, ReviewPolicy(project_id=project.id, **policy._asdict())])
        session.flush()
        session.execute(text(_INSTANCES), {"project": project.id, "run": made.id, "count": count})
        session.execute(text("TRUNCATE lease_history"))
        return project.id


# --- one run ----------------------------------------------------------------------------------------------

_PROGRESS = """
    SELECT count(*) FILTER (WHERE status <> 'waiting') AS ended, count(*) FILTER (
        WHERE status = 'waiting' AND (
            SELECT count(DISTINCT person_id) FROM decision
            WHERE instance_id = instance.id AND round = instance.round AND undone_at IS NULL) < :readers
        ) AS open
    FROM instance WHERE project_id = :project"""
_OPEN_LEASES = "SELECT array_agg(id ORDER BY id) FROM lease WHERE expires_at > now()"
_EXPIRE = """
    WITH expired AS (
        UPDATE lease SET expires_at = now() - interval '1 second' WHERE id = ANY(:leases) RETURNING id)
    SELECT count(*) FROM expired"""


class Race:
    """One run: a project and its readers, who are killed and overtaken while they read."""

    def __init__(
        self, product: Product, database: Engine, readers: Sequence[Reader], size: Size, seed: str
    ) -> None:
        self._product, self._database = product, database
        self._readers, self._size, self._seed = readers, size, seed
        self._chance = Random(seed)
        self._slug = "races-" + seed.replace(" ", "-")
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._lives: Counter[int] = Counter()
        self.struck: Counter[str] = Counter()
        self.broken: list[str] = []

    def go(self, policy: Policy, folder: Path) -> int:
        """Let them read until nobody gets anything any more; returns the project's number."""
        self._folder = folder
        project_id = _prepare(self._database, self._slug, policy, self._size.instances)
        try:
            for reader in self._readers:
                self._start(reader)
            self._strike_until_read(project_id)
        finally:
            self._stop()
        self._read_the_rest()
        return project_id

    def _strike_until_read(self, project_id: int) -> None:
        blows = self._blows()
        deadline = time.monotonic() + PATIENCE_S
        still_open = 1
        while still_open and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
            ended, still_open = self._progress(project_id)
            while blows and blows[0][0] * self._size.instances <= ended:
                blows.pop(0)[1]()
        if still_open:
            self.broken.append(f"{still_open} instances are not read after {PATIENCE_S} s")

    def _blows(self) -> list[tuple[float, Any]]:
        """At which share of the instances each comes."""
        kinds = [self._kill] * self._size.kills + [self._expire] * self._size.expiries
        return sorted(((self._chance.uniform(0, 0.95), blow) for blow in kinds), key=lambda one: one[0])

    def _progress(self, project_id: int) -> tuple[int, int]:
        with self._database.connect() as connection:
            values = {"project": project_id, "readers": self._size.readers}
            ended, still_open = connection.execute(text(_PROGRESS), values).one()
        return ended, still_open

    def _start(self, reader: Reader) -> None:
        self._lives[reader.id] += 1
        life = f"{reader.id}-{self._lives[reader.id]}"
        asked = {
            "url": self._product.url,
            "token": reader.token,
            "project": self._slug,
            "seed": f"{self._seed} {self._readers.index(reader)} {self._lives[reader.id]}",
            "journal": str(self._folder / f"{life}.jsonl"),
            "stop": str(self._folder / "stop"),
        }
        # Without site-packages it starts in a moment.
        command = [sys.executable, "-I", "-S", str(READER), json.dumps(asked)]
        with (self._folder / "errors").open("a") as errors:
            self._processes[reader.id] = subprocess.Popen(command, stderr=errors)

    def _kill(self) -> None:
        """A reader who comes back at once finds what they held and what they never saw the answer of."""
        reader = self._chance.choice(self._readers)
        self._end(self._processes[reader.id])
        self.struck["kills"] += 1
        self._start(reader)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait(timeout=END_S)

    def _expire(self) -> None:
        held = one(self._database, _OPEN_LEASES) or []
        chosen = self._chance.sample(held, min(EXPIRED_AT_ONCE, len(held)))
        with self._database.begin() as connection:
            self.struck["expired"] += connection.execute(text(_EXPIRE), {"leases": chosen}).scalar_one()

    def _stop(self) -> None:
        """Let everybody finish what they are at."""
        (self._folder / "stop").touch()
        deadline = time.monotonic() + END_S
        for process in self._processes.values():
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._end(process)
        if any(process.returncode for process in self._processes.values()):
            self.broken.append(f"a reader broke: {(self._folder / 'errors').read_text()[-2000:]}")

    def _read_the_rest(self) -> None:
        """What somebody took back at the very end is read now, by one after the other: all leases are over."""
        with self._database.begin() as connection:
            connection.execute(text("UPDATE lease SET expires_at = now() - interval '1 second'"))
        with httpx2.Client(base_url=f"{self._product.url}/api/v1", timeout=30) as client:
            for reader in self._readers:
                client.headers["Authorization"] = f"Bearer {reader.token}"
                for _ in range(self._size.instances):
                    answer = client.post(f"/projects/{self._slug}/review/next", json={})
                    if answer.status_code == 200:
                        card = answer.json()
                        answer = client.post(
                            f"/instances/{card['instance']['id']}/decisions",
                            json={"action": "accept", "lease": card["lease"]["token"]},
                        )
                    if answer.status_code != 201:
                        break
                if answer.status_code != 204:
                    self.broken.append(f"the last reading: {answer.status_code} {answer.text}")


# --- what the readers were told ---------------------------------------------------------------------------


class Told:
    """The journals of all readers and their lives."""

    def __init__(self, folder: Path) -> None:
        self.decisions: dict[int, tuple[int, int, str]] = {}  # number: person, instance, action
        self.undoing: set[int] = set()  # sent; what came of some nobody knows
        self.undone: set[int] = set()
        self.cards: set[tuple[str, int, int]] = set()  # token, person, instance
        self.answers: Counter[tuple[str, int]] = Counter()
        self.changed = 0  # answers under one key that differ
        self.broken: list[str] = []
        for path in sorted(folder.glob("*.jsonl")):
            person_id = int(path.stem.split("-")[0])
            for line in path.read_text().splitlines(keepends=True):
                if line.endswith("\n"):  # the last one of somebody killed may be cut
                    self._take(person_id, json.loads(line))

    def _take(self, person_id: int, line: dict[str, Any]) -> None:
        match line:
            case {"card": instance_id, "token": token}:
                self.cards.add((token, person_id, instance_id))
            case {"decision": number, "instance": instance_id, "action": action}:
                self.decisions[number] = (person_id, instance_id, action)
            case {"undoing": number}:
                self.undoing.add(number)
            case {"undone": number}:
                self.undone.add(number)
            case {"sent": what, "status": status}:
                self.answers[what, status] += 1
                self.changed += not line.get("same", True)
                if status >= 500:
                    self.broken.append(f"{what}: {status} {line.get('detail', '')}")
            case _:
                raise ValueError(line)

    def refused(self) -> dict[str, int]:
        """How often each thing was answered with 409."""
        return {what: times for (what, status), times in sorted(self.answers.items()) if status == 409}

    def errors(self) -> int:
        return sum(times for (_, status), times in self.answers.items() if status >= 500)


# --- counting ---------------------------------------------------------------------------------------------

Fault = tuple[str, str]  # kind, what is wrong

_SPANS = """
    WITH change AS (
        SELECT what, instance_id, person_id, at,
            least(expires_at, lead(at) OVER (PARTITION BY lease_id ORDER BY id)) AS until
        FROM lease_history),
    span AS (SELECT * FROM change WHERE what <> 'DELETE' AND at < until)"""
_WRONGLY_GIVEN = {  # to whom an instance was given at a time when it must not have been
    "held by two readers at once": f"""{_SPANS}
        SELECT a.instance_id, a.person_id, b.person_id FROM span AS a JOIN span AS b USING (instance_id)
        WHERE a.person_id < b.person_id AND a.at < b.until AND b.at < a.until""",
    "given to somebody who has answered": """
        SELECT given.instance_id, given.person_id FROM lease_history AS given
        JOIN decision USING (instance_id, person_id)
        WHERE given.what = 'INSERT' AND decision.created_at < given.at
            AND (decision.undone_at IS NULL OR decision.undone_at > given.at)""",
    "still held though it is decided": """
        SELECT instance_id, person_id FROM lease JOIN instance ON instance.id = instance_id
        WHERE instance.project_id = :project AND instance.status <> 'waiting'""",
}
_WITHOUT_LEASE = """
    SELECT instance_id, person_id FROM decision WHERE project_id = :project
    GROUP BY instance_id, person_id HAVING count(*) > (
        SELECT count(*) FROM lease_history AS given WHERE given.what = 'INSERT'
            AND given.instance_id = decision.instance_id AND given.person_id = decision.person_id)"""
_READ = """
    SELECT instance.id, instance.status, instance.readings,
        coalesce(array_agg(said.action ORDER BY said.id) FILTER (WHERE said.action <> 'skip'), '{}') AS said,
        count(DISTINCT said.person_id) FILTER (WHERE said.action <> 'skip') AS readers,
        count(DISTINCT said.person_id) FILTER (WHERE said.action = 'skip') AS skipped,
        count(DISTINCT said.person_id) AS answered
    FROM instance LEFT JOIN decision AS said
        ON said.instance_id = instance.id AND said.round = instance.round AND said.undone_at IS NULL
    WHERE instance.project_id = :project GROUP BY instance.id ORDER BY instance.id"""
_DECISIONS = """
    SELECT id, person_id, instance_id, action, undone_at IS NOT NULL
    FROM decision WHERE project_id = :project"""


class Read(NamedTuple):
    """An instance at the end, with what stands of what was said about it."""

    id: int
    status: str
    readings: int
    said: list[str]  # skips apart
    readers: int  # people who said it
    skipped: int  # people
    answered: int  # people, skips among it


def faults_of(row: Read, policy: Policy, readers: int) -> Iterator[Fault]:
    """What does not add up about one instance."""
    wanted, said = readings_wanted(row.id, policy), len(row.said)
    what = f"of {wanted} wanted: {row}"
    if row.readers < said:
        yield "too_many", f"one reader has answered twice {what}"
    if said > max(wanted, row.readings):
        yield "too_many", f"more readings than are wanted or counted {what}"
    elif said < wanted and not _is_excused(row, policy, readers):
        yield "too_few", f"fewer readings {what}"
    elif said == wanted and row.status != _status_after(row.said):
        yield "wrong_status", f"it should be {_status_after(row.said)} {what}"
    if row.readings != said:
        yield ("too_many" if row.readings < said else "too_few"), f"the instance counts otherwise {what}"


def _is_excused(row: Read, policy: Policy, readers: int) -> bool:
    """Everybody has answered or skipped it, or enough have skipped it."""
    if row.status == InstanceStatus.DISPUTED:
        return 0 < policy.skips_to_adjudicate <= row.skipped
    return row.status == InstanceStatus.WAITING and row.answered == readers


def _status_after(said: Sequence[str]) -> InstanceStatus:
    """No two edits of these readers are alike."""
    if set(said) == {"reject"}:
        return InstanceStatus.REJECTED
    if set(said) == {"accept"} or len(said) == 1:
        return InstanceStatus.ACCEPTED
    return InstanceStatus.DISPUTED


def _lost(told: Told, kept: Sequence[Any], given: set[tuple[str, int, int]]) -> Iterator[Fault]:
    """What was answered and is not so in the database."""
    rows = {row[0]: row[1:] for row in kept}
    for number, said in told.decisions.items():
        if number not in rows or tuple(rows[number][:3]) != said:
            yield "lost", f"decision {number} of {said} is {rows.get(number)}"
        elif rows[number][3] and number not in told.undoing:
            yield "lost", f"decision {number} of {said} is undone, and nobody asked for it"
    for number in sorted(told.undone):
        if number not in rows or not rows[number][3]:
            yield "lost", f"decision {number} was taken back and stands"
    for card in sorted(told.cards - given):
        yield "lost", f"card {card} was told and never given"


def faults(database: Engine, project_id: int, policy: Policy, readers: int, told: Told) -> list[Fault]:
    """Everything that does not add up at the end of a run."""
    found: list[Fault] = []
    with database.connect() as connection:

        def rows(statement: str) -> Sequence[Any]:
            return connection.execute(text(statement), {"project": project_id}).all()

        for what, statement in _WRONGLY_GIVEN.items():
            found += [("given_twice", f"{what}: instance, people {tuple(row)}") for row in rows(statement)]
        found += [("too_many", f"more decisions than leases: {tuple(row)}") for row in rows(_WITHOUT_LEASE)]
        for row in rows(_READ):
            found += faults_of(Read(*row), policy, readers)
        given = rows("SELECT DISTINCT token, person_id, instance_id FROM lease_history")
        found += _lost(told, rows(_DECISIONS), {tuple(row) for row in given})
    return found


# --- all runs ---------------------------------------------------------------------------------------------

KINDS = ("given_twice", "too_many", "too_few", "wrong_status", "lost")
SHOWN = ("decisions", "undone", "kills", "expired", "refused", *KINDS, "changed", "errors_5xx")


def race(
    product: Product, database: Engine, readers: Sequence[Reader], size: Size, seed: str, policy: Policy
) -> dict[str, Any]:
    """One run, counted. `broken` says what did not hold, and is empty when all is well."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="races-") as name:
        folder = Path(name)
        run_ = Race(product, database, readers, size, seed)
        project_id = run_.go(policy, folder)
        told = Told(folder)
    seconds = time.monotonic() - started
    found = faults(database, project_id, policy, len(readers), told)
    kinds = Counter(kind for kind, _ in found)
    undone = one(
        database,
        "SELECT count(*) FROM decision WHERE project_id = :project AND undone_at IS NOT NULL",
        project=project_id,
    )
    broken = [*run_.broken, *told.broken, *(f"{kind}: {what}" for kind, what in found)]
    if told.changed:
        broken.append(f"{told.changed} answers under a key were not the first one")
    return {
        "seconds": round(seconds, 1),
        "decisions": one(
            database, "SELECT count(*) FROM decision WHERE project_id = :project", project=project_id
        ),
        "undone": undone,
        "kills": run_.struck["kills"],
        "expired": run_.struck["expired"],
        "refused": sum(told.refused().values()),
        "refused_409": told.refused(),
        **{kind: kinds[kind] for kind in KINDS},
        "changed": told.changed,
        "errors_5xx": told.errors(),
        "broken": broken,
    }


def measure(product: Product, runs: int, size: Size, seed: int) -> dict[str, Any]:
    """So many runs on a product that is running."""
    print(f"seed {seed}")
    print("  ".join(("run", "seconds", *SHOWN)), flush=True)
    found: list[dict[str, Any]] = []
    with database_of(product) as database:
        with database.begin() as connection:
            connection.exec_driver_sql(_HISTORY)
            connection.exec_driver_sql(_SLOW_QUEUE)
        readers = _hire(database, size.readers)
        for number in range(1, runs + 1):
            policy = Policy(overlap_percent=10, overlap_readers=2, skips_to_adjudicate=number % 2 * 3)
            found.append(race(product, database, readers, size, f"{seed} {number}", policy))
            _show(number, found[-1])
    return _sum(found) | {"clients": size.readers, "instances": size.instances, "seed": seed}


def _show(number: int, found: dict[str, Any]) -> None:
    cells = [f"{number:>3}", f"{found['seconds']:>7}"]
    print("  ".join([*cells, *(f"{found[name]:>{len(name)}}" for name in SHOWN)]), flush=True)
    for what in found["broken"][:10]:
        print(f"     {what}", flush=True)


def _sum(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    refused: Counter[str] = Counter()
    for run_ in found:
        refused.update(run_["refused_409"])
    return {
        "runs": len(found),
        **{name: sum(run_[name] for run_ in found) for name in SHOWN},
        "refused_409": dict(refused),
        "seconds_of_a_run": statistics.median(run_["seconds"] for run_ in found),
        "broken": [what for run_ in found for what in run_["broken"]][:20],
    }


def run(full: bool) -> dict[str, Any]:
    seed = int(os.environ.get("SEED") or secrets.randbelow(10**6))
    with fresh_home() as home, running(home) as product:
        return measure(product, 50 if full else 3, Size(), seed)


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

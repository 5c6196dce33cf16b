"""Eight readers with defects eight times slower to decide, on lots that hold one defect too many.

    python -m benchmarks.slow_defects [--full]

The product's own functions hand out the draws and take the answers, on a real Postgres; only the clock is simulated:
of all answers under way the one that is due first is given next. Every lot holds one defect more than the claim
allows, so that each certificate is a false one, and an audit may give at most a share `alpha` of them. Whoever meets
a defect takes eight times longer, so defects come in late.

`false_certification` is the share of lots that the product certified at any moment, `still_certified` the share once
what was in hand then is answered, too, and the defects known by then are held against the claim; `one_by_one` the
share that a single reader who never overlaps would have certified, in the same orders; `exact` that chance, computed.
`by_completion` counts the same answers as they came in, in place of draw order, with the same test. A quick run takes lots of 40 rows until two
minutes are over, `--full` 1,500 of them. `paper_...` is the same clock without the product, on lots of 5,000 rows.
"""

import heapq
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session, sessionmaker

import benchmarks
from app.guarantee.lot import order
from app.guarantee.plans import false_certification
from app.guarantee.sequential import NEVER, Test, boundary, certified_at, prior_for, tolerance_of
from app.pipeline import Action, AuditState, Part
from app.review.audit_queries import Draw
from app.review.audit_stream import decide, next_draw
from app.review.draws import Answer
from app.review.judgement import Judgement
from app.runtime.embedded import embedded_servers
from app.storage.database import make_engine
from app.storage.migrations import migrate
from app.storage.tables import Audit, Decision, Instance, LotRow, Person, Project
from tests.factories import make_instance, make_person, make_pick, make_project, make_run, make_snippet

READERS = 8
SLOWER = 8
ROWS, RATE, ALPHA = 40, 0.05, 0.05
PAPER_ROWS, PAPER_RATE, PAPER_LOTS = 5_000, 0.02, 300
QUICK_S = 100
FULL_LOTS = 1_500
PROCESSES = 2
SAID = {
    False: Answer(False, Judgement(Action.ACCEPT, None, "", {}, {})),
    True: Answer(True, Judgement(Action.REJECT, "incorrect", "", {}, {})),
}


def test_of(rows: int, rate: float) -> Test:
    return Test(rows, tolerance_of(rate, rows), ALPHA, prior_for(rate))


class Counted(NamedTuple):
    """Whether the answers on one lot certify it, by how they are counted."""

    one_by_one: bool
    by_completion: bool


class Outcome(NamedTuple):
    """Whether the product certified one lot, and who else would have."""

    product: bool
    still: bool  # once all that was in hand is answered
    counted: Counted
    draws: int


# --- the product's queue ----------------------------------------------------------------------------------


class Desk(NamedTuple):
    """A project with its readers, and the instances of which each lot has all: its order is what differs."""

    project: Project
    readers: Sequence[Person]
    instances: Sequence[Instance]

    @property
    def defects(self) -> set[int]:
        """One more than the claim allows."""
        most = test_of(ROWS, RATE).tolerance + 1
        return {instance.id for instance in self.instances[:most]}


def make_desk(session: Session, name: str) -> Desk:
    project = make_project(session, slug=name, name=name)
    run = make_run(session, project)
    pick = make_pick(session, make_snippet(session, project))
    instances = [make_instance(session, pick, run, candidate=number) for number in range(ROWS)]
    readers = [make_person(session, project=project, name=f"{name}-{number}") for number in range(READERS)]
    session.commit()
    return Desk(project, readers, instances)


def freeze(session: Session, desk: Desk, seed: str) -> int:
    test = test_of(ROWS, RATE)
    audit = Audit(
        project_id=desk.project.id,
        filters={},
        gates={},
        census="none",
        max_defect_rate=RATE,
        alpha=ALPHA,
        attempts=1,
        attempt=1,
        prior_a=test.prior.a,
        prior_b=test.prior.b,
        double_share=0.0,
        code_version="benchmark",
        rows=ROWS,
        census_rows=0,
        dropped_rows=0,
        lot_sha256="",
        seed=seed,
        order_sha256="",
    )
    session.add(audit)
    session.flush()
    place = {row_id: at for at, row_id in enumerate(order((str(one.id) for one in desk.instances), seed), 1)}
    rows = [
        {
            "audit_id": audit.id,
            "instance_id": one.id,
            "row_id": str(one.id),
            "revision": 0,
            "content_hash": "",
            "part": Part.RANDOM,
            "position": place[str(one.id)],
            "twice": False,
        }
        for one in desk.instances
    ]
    session.execute(insert(LotRow), rows)
    session.commit()
    return audit.id


def read_lot(sessions: sessionmaker[Session], desk: Desk, audit_id: int, clock: Random) -> bool:
    """All readers, until there is nothing left for any of them; each asks again as soon as they have answered.

    Whether the audit was certified at any moment.
    """
    was_certified = False
    under_way: list[tuple[float, int, Draw]] = []  # (when it is decided, whose, what)

    def ask(reader: int, now: float) -> None:
        with sessions() as session:
            found = next_draw(session, desk.project, desk.readers[reader], audit_id=audit_id)
            session.commit()
        if isinstance(found, Draw):
            takes = clock.expovariate(1) * (SLOWER if found.row.instance_id in desk.defects else 1)
            heapq.heappush(under_way, (now + takes, reader, found))

    for reader in range(READERS):
        ask(reader, 0.0)
    while under_way:
        now, reader, draw = heapq.heappop(under_way)
        with sessions() as session:
            said = SAID[draw.row.instance_id in desk.defects]
            decide(session, desk.readers[reader], draw.row.instance_id, draw.lease.token, said)
            was_certified |= session.get_one(Audit, audit_id).state == AuditState.CERTIFIED
            session.commit()
        ask(reader, now)
    return was_certified


def outcome(session: Session, desk: Desk, audit_id: int, *, was_certified: bool) -> Outcome:
    """What the product made of it, and what others would have."""
    test = test_of(ROWS, RATE)
    came_in = select(Decision.defect).where(Decision.audit_id == audit_id).order_by(Decision.id)
    as_answered = np.array(session.scalars(came_in).all(), dtype=np.bool_)
    drawn = select(LotRow.instance_id).where(LotRow.audit_id == audit_id).order_by(LotRow.position)
    in_order = np.array([number in desk.defects for number in session.scalars(drawn)], dtype=np.bool_)
    state = session.get_one(Audit, audit_id).state
    return Outcome(
        was_certified,
        state == AuditState.CERTIFIED,
        Counted(certified_at(in_order, test) is not None, certified_at(as_answered, test) is not None),
        len(as_answered),
    )


def read_lots(database_url: str, seed: int, lots: int, until: float) -> list[Outcome]:
    """One process: its own project and readers, lot after lot."""
    engine: Engine = make_engine(database_url)
    sessions = sessionmaker(engine, expire_on_commit=False)
    clock = Random(seed)
    found: list[Outcome] = []
    with sessions() as session:
        desk = make_desk(session, f"readers-{seed}")
    for number in range(lots):
        if time.monotonic() > until:
            break
        with sessions() as session:
            audit_id = freeze(session, desk, f"{seed} {number}")
        was_certified = read_lot(sessions, desk, audit_id, clock)
        with sessions() as session:
            found.append(outcome(session, desk, audit_id, was_certified=was_certified))
    engine.dispose()
    return found


# --- the same on paper ------------------------------------------------------------------------------------


def on_paper(lots: int, rows: int, rate: float, chance: Random) -> Iterator[Counted]:
    """The same readers and clock without a product. Both ways of counting stop at the first certificate."""
    test = test_of(rows, rate)
    most = boundary(test).tolist()
    for _ in range(lots):
        labels = [number <= test.tolerance for number in range(rows)]
        chance.shuffle(labels)
        came_in = list(_completions(labels, chance))
        yield Counted(_certified(labels, most), _certified((labels[draw] for draw in came_in), most))


def _completions(labels: Sequence[bool], chance: Random) -> Iterator[int]:
    """The draws in the order in which they are answered."""
    under_way = [(_takes(labels[draw], chance), draw) for draw in range(min(READERS, len(labels)))]
    heapq.heapify(under_way)
    following = len(under_way)
    while under_way:
        now, draw = heapq.heappop(under_way)
        yield draw
        if following < len(labels):
            heapq.heappush(under_way, (now + _takes(labels[following], chance), following))
            following += 1


def _takes(is_defect: bool, chance: Random) -> float:
    return chance.expovariate(1) * (SLOWER if is_defect else 1)


def _certified(labels: Iterable[bool], most: Sequence[int]) -> bool:
    defects = 0
    for draw, is_defect in enumerate(labels, 1):
        defects += is_defect
        if most[draw] != NEVER and defects <= most[draw]:
            return True
    return False


# --- the whole --------------------------------------------------------------------------------------------


def run(full: bool) -> dict[str, Any]:
    lots, seconds = (FULL_LOTS, 3600.0) if full else (10**6, float(QUICK_S))
    return measure(lots, seconds)


def measure(lots: int, seconds: float, paper_lots: int = PAPER_LOTS) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bw-") as home, embedded_servers(Path(home)) as servers:
        engine = make_engine(servers.database_url)
        migrate(engine)
        engine.dispose()
        until = time.monotonic() + seconds
        share = -(-lots // PROCESSES)
        with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
            jobs = [
                pool.submit(read_lots, servers.database_url, seed, share, until)
                for seed in range(1, PROCESSES + 1)
            ]
            found = [one for job in jobs for one in job.result()]
    paper = list(on_paper(paper_lots, PAPER_ROWS, PAPER_RATE, Random(7)))
    test, paper_test = test_of(ROWS, RATE), test_of(PAPER_ROWS, PAPER_RATE)
    return {
        "alpha": ALPHA,
        "readers": READERS,
        "times_slower": SLOWER,
        "rows": ROWS,
        "defects": test.tolerance + 1,
        "lots": len(found),
        "decisions": sum(one.draws for one in found),
        "false_certification": _share(one.product for one in found),
        "still_certified": _share(one.still for one in found),
        "one_by_one": _share(one.counted.one_by_one for one in found),
        "exact": round(false_certification(test, test.tolerance + 1), 4),
        "certified_only_by_the_product": sum(one.product and not one.counted.one_by_one for one in found),
        "by_completion": _share(one.counted.by_completion for one in found),
        "paper_rows": PAPER_ROWS,
        "paper_lots": len(paper),
        "paper_false_certification": _share(one.one_by_one for one in paper),
        "paper_exact": round(false_certification(paper_test, paper_test.tolerance + 1), 4),
        "paper_by_completion": _share(one.by_completion for one in paper),
    }


def _share(certified: Iterable[bool]) -> float:
    found = list(certified)
    return round(sum(found) / len(found), 4) if found else 0.0


if __name__ == "__main__":
    benchmarks.main(run)

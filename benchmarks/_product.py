"""What the benchmarks of the engine share: the product in a folder of its own, a model server, material, counts."""

import ast
import contextlib
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2
import psutil
from sqlalchemy import Engine, text

from app.storage.database import make_engine
from tests.stack.product import ROOT, Product, jsonl, running

TASKS = {"summarization": 1, "generation": 1, "translation": 1, "repair": 1}
MODEL = "test"
LLM_WORKERS = 2  # processes that ask models: LLM_IN_FLIGHT is for each of them


# --- the model server -------------------------------------------------------------------------------------


@dataclass
class ModelServer:
    """`tests.llm_server` as a process of its own."""

    url: str
    process: psutil.Process

    def stats(self, *, times: bool = False) -> dict[str, Any]:
        return self._ask("GET", "/stats?times=1" if times else "/stats")

    def seen(self) -> list[dict[str, Any]]:
        """The last 2,000 request bodies."""
        return self._ask("GET", "/seen")

    def asked(self) -> list[str]:
        """Of every call the hash of its messages."""
        return self._ask("GET", "/asked")

    def behave(self, **settings: Any) -> None:
        self._ask("POST", "/behave", settings)

    def reset(self) -> None:
        self._ask("POST", "/reset")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx2.request(method, self.url.removesuffix("/v1") + path, json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def model_server(**settings: Any) -> Generator[ModelServer]:
    """Run one that behaves as `tests.llm_server.Behaviour` says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.llm_server"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        server = ModelServer(process.stdout.readline().split()[1], psutil.Process(process.pid))
        server.behave(**settings)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()


# --- the product ------------------------------------------------------------------------------------------


def environment(server: ModelServer, in_flight: int) -> dict[str, str]:
    """Settings that make the product ask `server`, with so many calls in flight over all its workers."""
    return {
        "OPENAI_BASE_URL": server.url,
        "OPENAI_API_KEY": "test",
        "GENERATOR_MODEL": MODEL,
        "DISCRIMINATOR_MODEL": MODEL,
        "LLM_IN_FLIGHT": str(in_flight // LLM_WORKERS),
    }


@contextmanager
def fresh_home() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="bw-") as folder:
        yield Path(folder) / "home"


@contextmanager
def product_asking(server: ModelServer, in_flight: int) -> Generator[Product]:
    with fresh_home() as home, running(home, demo=False, **environment(server, in_flight)) as product:
        yield product


def llm_processes(product: Product) -> tuple[psutil.Process, list[psutil.Process]]:
    """The worker that asks models, and its children, which do so."""
    parent = process_of(product, "workers")
    return parent, parent.children()


def process_of(product: Product, part: str) -> psutil.Process:
    """The first process of a part: web, workers, postgres ..."""
    return next(one for one in product.processes() if _part(one) == part)


@contextmanager
def database_of(product: Product) -> Generator[Engine]:
    database = make_engine(product.record["database_url"])
    try:
        yield database
    finally:
        database.dispose()


def prepare(product: Product, project: str, picks: int) -> None:
    """A project with a selection of `picks` functions; no other project has the same code."""
    product.post("/api/v1/projects", 201, json={"name": project})
    rows = jsonl(list(islice(functions(project), picks + picks // 2 + 50)))
    path = f"/api/v1/projects/{project}"
    product.finished(product.post(f"{path}/sources", 202, files={"file": ("rows.jsonl", rows)}))
    product.finished(product.post(f"{path}/selections", 202, json={"k": picks}))


def generate(product: Product, project: str, count: int | None, **asked: Any) -> int:
    """Start a generation over all tasks; returns its run. Without a count `asked` says when it has enough.

    Each question is another one while `count` is at most four times the picks.
    """
    body = {
        name: value for name, value in ({"tasks": TASKS, "count": count} | asked).items() if value is not None
    }
    return product.post(f"/api/v1/projects/{project}/generations", 202, json=body).json()["id"]


def functions(mark: str) -> Iterator[dict[str, Any]]:
    """Functions with docstrings of the standard library, as CodeSearchNet writes them, each with `mark` in it."""
    outside = {"test", "tests", "site-packages", "dist-packages", "idlelib", "lib2to3"}
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if not outside.isdisjoint(path.parts):
            continue
        with contextlib.suppress(SyntaxError, UnicodeDecodeError):
            source = path.read_text()
            lines = source.splitlines(keepends=True)
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.FunctionDef) and len(comment := ast.get_docstring(node) or "") > 20:
                    code = "".join(lines[node.lineno - 1 : node.end_lineno])
                    if 80 <= len(code) <= 3000:
                        yield _row(path.name, node.name, f"{code}    # {mark}\n", comment)


def _row(file: str, name: str, code: str, comment: str) -> dict[str, Any]:
    return {
        "repo": "python/cpython",
        "path": f"Lib/{file}",
        "func_name": name,
        "original_string": code,
        "language": "python",
        "code": code,
        "docstring": comment,
        "sha": "0" * 40,
        "url": "https://example.org/cpython",
        "partition": "train",
    }


# --- counting ---------------------------------------------------------------------------------------------

ENDED = ("completed", "completed_with_errors", "failed", "cancelled")


def await_end(database: Engine, run_id: int, patience_s: float) -> str:
    """Wait until a run has ended; returns its last state, whatever it is when patience ends."""
    deadline = time.monotonic() + patience_s
    while True:
        state = str(one(database, "SELECT state FROM run WHERE id = :run", run=run_id))
        if state in ENDED or time.monotonic() > deadline:
            return state
        time.sleep(0.2)


def await_first_row(database: Engine, run_id: int, patience_s: float) -> None:
    """Wait until the text of the first instance is durable."""
    deadline = time.monotonic() + patience_s
    kept = "SELECT EXISTS (SELECT FROM instance WHERE run_id = :run AND text_hash IS NOT NULL)"
    while not one(database, kept, run=run_id) and time.monotonic() < deadline:
        time.sleep(0.05)


def seconds_of(database: Engine, run_id: int) -> float:
    """From the start of a run to its last outcome, by the database's clock."""
    asked = (
        "SELECT extract(epoch FROM max(item.finished_at) - min(run.started_at))"
        " FROM run JOIN work_item AS item ON item.run_id = run.id WHERE run.id = :run"
    )
    return float(one(database, asked, run=run_id))


def finish_times(database: Engine, run_id: int) -> list[float]:
    """When each item had its outcome, seconds since the epoch."""
    asked = (
        "SELECT array_agg(extract(epoch FROM finished_at)::float8)"
        " FROM work_item WHERE run_id = :run AND outcome IS NOT NULL"
    )
    return one(database, asked, run=run_id)


def one(database: Engine, statement: str, **values: Any) -> Any:
    with database.connect() as connection:
        return connection.execute(text(statement), values).scalar_one()


def steady_rate(finished: Sequence[float]) -> float:
    """How many finished per second between 5 % and 95 % of them."""
    times = sorted(finished)
    first, last = len(times) // 20, len(times) * 19 // 20
    return (last - first) / (times[last] - times[first])


def cpu_seconds(product: Product, server: ModelServer | None = None) -> dict[str, float]:
    """Processor time so far by part, of processes that ended meanwhile, too."""
    spent: dict[str, float] = dict.fromkeys(("workers", "web", "postgres", "redis", "rest"), 0.0)
    for process in product.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            spent[_part(process)] += sum(process.cpu_times()[:4])  # own and of ended children
    return spent | ({"model_server": sum(server.process.cpu_times()[:2])} if server else {})


def _words(process: psutil.Process) -> list[str]:
    """Its command line; nothing of one that ends just now."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


def _part(process: psutil.Process) -> str:
    words = " ".join(_words(process))
    marks = {"--queues llm": "workers", "uvicorn": "web", "postgres": "postgres", "redis-server": "redis"}
    return next((part for mark, part in marks.items() if mark in words), "rest")


# --- conservation -----------------------------------------------------------------------------------------

_BROKEN = {  # what must hold of a generation that has ended: the number of rows for which it does not
    "items that are still open": """
        SELECT count(*) FROM work_item WHERE run_id = :run AND state IN ('parked', 'pending', 'leased')""",
    "instances without exactly one outcome": """
        SELECT count(*) FROM (
            SELECT instance.id FROM instance
            LEFT JOIN work_item AS item
                ON item.run_id = instance.run_id AND item.source_id = instance.id AND item.outcome IS NOT NULL
            WHERE instance.run_id = :run GROUP BY instance.id HAVING count(item.id) <> 1) AS broken""",
    "instances more or fewer than asked for": """
        SELECT abs(total - (SELECT count(*) FROM instance WHERE run_id = :run)) FROM run WHERE id = :run""",
    "texts with two verdicts": """
        SELECT count(*) FROM (
            SELECT verdict.instance_id FROM verdict JOIN instance ON instance.id = verdict.instance_id
            LEFT JOIN sent_back ON sent_back.instance_id = instance.id
                AND sent_back.judge_call_id = verdict.call_id AND sent_back.call_id IS NOT NULL
            WHERE instance.run_id = :run
            GROUP BY verdict.instance_id, verdict.revision, sent_back.instance_id HAVING count(*) > 1) AS broken""",
    "texts that came back and were not judged by whoever confirms": """
        SELECT count(*) FROM instance JOIN sent_back ON sent_back.instance_id = instance.id
        WHERE instance.run_id = :run AND sent_back.call_id IS NOT NULL AND instance.status <> 'generating'
            AND NOT EXISTS (SELECT FROM verdict JOIN call ON call.id = verdict.call_id
                WHERE verdict.instance_id = instance.id AND call.stage = 'confirm')""",
    "verdicts of the wrong kind or missing": """
        SELECT count(*) FROM work_item AS item JOIN instance ON instance.id = item.source_id
        WHERE item.run_id = :run AND item.outcome IN ('passed', 'failed_verdict', 'invalid_verdict')
            AND NOT EXISTS (SELECT FROM verdict WHERE verdict.instance_id = instance.id)""",
    "counts of the run that differ from its rows": """
        SELECT count(*) FROM (
            SELECT outcome AS code, count(*) AS rows FROM work_item
            WHERE run_id = :run AND outcome IS NOT NULL GROUP BY outcome) AS counted
        FULL JOIN (SELECT code, rows FROM run_count WHERE run_id = :run AND rows <> 0) AS kept USING (code)
        WHERE counted.rows IS DISTINCT FROM kept.rows""",
    "calls that are still open": "SELECT count(*) FROM call WHERE run_id = :run AND state = 'sent'",
}


def violations(database: Engine, run_id: int, seen: dict[str, Any]) -> list[str]:
    """What does not add up of a generation that should have ended; `seen` is the run as REST shows it."""
    found = [
        f"{number} {what}" for what, sql in _BROKEN.items() if (number := one(database, sql, run=run_id))
    ]
    if seen["state"] not in ENDED:
        found.append(f"the run is {seen['state']}: {seen.get('reason')}")
    if seen["total"] != sum(seen["done"].values()):
        found.append(f"{seen['total']} asked for, {seen['done']} done")
    return found

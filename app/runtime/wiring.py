"""Where a worker process is put together: stages plugged into the engine, one loop and one client each."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.discrimination.handler import DiscriminationHandler
from app.engine.drain import Drain
from app.engine.handlers import Ending, Handler, Handlers, Job, Jobs
from app.engine.jobs import work_job
from app.engine.process import Process
from app.engine.sweep import say_alive, sweep
from app.errors import DomainError, Unparsable
from app.evidence.service import gather_evidence
from app.export.service import build_release
from app.generation.handler import GenerationHandler
from app.ingestion.service import ingest
from app.llm.openai_client import OpenAIClient
from app.pipeline import Stage
from app.prompting.prompt import Answered, Prompt
from app.selection.service import select
from app.settings import settings
from app.storage.database import session_factory
from app.storage.tables import Call, Instance, Run, WorkItem

_log = structlog.get_logger()


class Fault(DomainError):
    """A defect of ours in one item's work. It ends that item as an error; the others go on."""


class _GenerationWithEvidence(GenerationHandler):
    """Generation, then the mechanical checks, in one transaction: the judge finds them done."""

    def record(self, session: Session, item: WorkItem, call: Call) -> Ending:
        ending = super().record(session, item, call)
        gather_evidence(session, session.get_one(Instance, item.source_id))
        return ending


class _Guarded:
    """Turns what nobody expected into a `Fault`, at the edge, so that one item cannot stop a group.

    A database that is away is not a fault: the slice ends, and its items are done again.
    """

    def __init__(self, inner: Handler) -> None:
        self._inner = inner

    def prepare(self, session: Session, item: WorkItem) -> Prompt | Answered:
        with _faults(item.id):
            return self._inner.prepare(session, item)

    def record(self, session: Session, item: WorkItem, call: Call) -> Ending:
        with _faults(item.id):
            return self._inner.record(session, item, call)

    def give_up(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> Ending:
        with _faults(item.id):
            return self._inner.give_up(session, item, call, error)


class _faults:
    def __init__(self, item_id: int) -> None:
        self._item_id = item_id

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, DomainError | OperationalError):
            _log.error("handler_fault", item_id=self._item_id, exc_info=error)
            raise Fault(f"{type(error).__name__}: {error}") from error


def _guarded_job(job: Job) -> Job:
    def steps(session: Session, run: Run) -> Iterator[None]:
        with _faults(run.id):
            yield from job(session, run)

    return steps


HANDLERS: Handlers = {
    Stage.GENERATE: _Guarded(_GenerationWithEvidence()),
    Stage.DISCRIMINATE: _Guarded(DiscriminationHandler()),
}

JOBS: Jobs = {
    Stage.INGEST: _guarded_job(ingest),
    Stage.SELECT: _guarded_job(select),
    Stage.RELEASE: _guarded_job(build_release),
}


def process(queue: str, is_stopping: Callable[[], bool]) -> Process:
    """This process on this host, serving `queue`."""

    def keep_alive() -> None:
        with session_factory().begin() as session:
            say_alive(session, f"{queue}@{socket.gethostname()}", queue)
            sweep(session)

    return Process(f"{socket.gethostname()}:{os.getpid()}", is_stopping, keep_alive)


def make_drain(here: Process) -> Drain:
    """This process's drain: one long-lived loop in a thread of its own, one client."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="calls", daemon=True).start()
    client = OpenAIClient(settings())
    return Drain(session_factory(), HANDLERS, client, loop, here, settings().llm_in_flight)


def serve_job(here: Process) -> bool:
    """Do one due job. Returns whether there was one."""
    return work_job(session_factory(), JOBS, here)

"""Where a worker process is put together: stages plugged into the engine, one loop and one client each."""

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import structlog
from sqlalchemy.orm import Session

from app.discrimination.handler import DiscriminationHandler
from app.discrimination.replaying import ReplayHandler
from app.discrimination.trying import TryJudgeHandler
from app.engine.drain import Drain
from app.engine.handlers import Ending, Handler, Handlers, Job, Jobs
from app.engine.jobs import work_job
from app.engine.process import Process
from app.engine.sweep import say_alive, sweep
from app.errors import DomainError, Unparsable
from app.evidence.service import gather_evidence
from app.export.service import build_release
from app.generation.correcting import CorrectionHandler
from app.generation.handler import GenerationHandler
from app.generation.trying import TryPromptHandler
from app.ingestion.importing import import_set
from app.ingestion.service import ingest
from app.llm.limiter import Limiter
from app.llm.openai_client import OpenAIClient
from app.pipeline import Stage
from app.prompting.prompt import Answered, Prompt
from app.selection.service import select
from app.settings import settings
from app.storage.database import DRAIN, JOB, SWEEPER, session_factory
from app.storage.faults import Refusal, refusal_of, server_fault
from app.storage.tables import Call, Run, WorkItem

_Given = TypeVar("_Given")
_Answer = TypeVar("_Answer")

# The database's thread comes back from each query to a busy loop: the usual 5 ms a time would add up to its turns.
_SWITCH_S = 0.0005

_log = structlog.get_logger()


class Fault(DomainError):
    """A defect of ours in one item's work. It ends that item as an error; the others go on."""


class _Guarded:
    """Turns what nobody expected into a `Fault` of the item that it is about, so that one cannot stop a group.

    A database that is away, or rows that somebody holds, are not a fault: the group is done again.
    """

    def __init__(self, inner: Handler) -> None:
        self._inner = inner

    def prepare(
        self, session: Session, items: Sequence[WorkItem]
    ) -> Sequence[Prompt | Answered | DomainError]:
        return self._each(session, self._inner.prepare, items)

    def record(
        self, session: Session, answered: Sequence[tuple[WorkItem, Call]]
    ) -> Sequence[Ending | DomainError]:
        return self._each(session, self._inner.record, answered)

    def give_up(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> Ending:
        with _faults(item.id):
            return self._inner.give_up(session, item, call, error)

    def _each(
        self,
        session: Session,
        work: Callable[[Session, Sequence[_Given]], Sequence[_Answer | DomainError]],
        group: Sequence[_Given],
    ) -> Sequence[_Answer | DomainError]:
        """The whole group at once; where that fails, one by one, and only those that fail are errors."""
        try:
            with session.begin_nested(), _faults(len(group)):
                return work(session, group)
        except DomainError as error:
            if len(group) == 1:
                return [error]
        return [answer for one in group for answer in self._each(session, work, [one])]


class _faults:
    def __init__(self, about: int) -> None:
        self._about = about

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, DomainError):
            return
        if refusal_of(error) is Refusal.FAULT:
            fault = server_fault(error)
            _log.error("fault", about=self._about, exc_info=error)
            said = f"{type(error).__name__}: {error}"
            raise Fault(f"{fault.says} ({said})" if fault is not None else said) from error


def _guarded_job(job: Job) -> Job:
    def steps(session: Session, run: Run) -> Iterator[None]:
        with _faults(run.id):
            yield from job(session, run)

    return steps


_JUDGE = _Guarded(DiscriminationHandler())

HANDLERS: Handlers = {
    Stage.GENERATE: _Guarded(GenerationHandler(check=gather_evidence)),
    Stage.DISCRIMINATE: _JUDGE,
    Stage.CORRECT: _Guarded(CorrectionHandler(check=gather_evidence)),
    Stage.CONFIRM: _JUDGE,
    Stage.REPLAY: _Guarded(ReplayHandler()),
    Stage.TRY_PROMPT: _Guarded(TryPromptHandler()),
    Stage.TRY_JUDGE: _Guarded(TryJudgeHandler()),
}

JOBS: Jobs = {
    Stage.INGEST: _guarded_job(ingest),
    Stage.IMPORT: _guarded_job(import_set),
    Stage.SELECT: _guarded_job(select),
    Stage.RELEASE: _guarded_job(build_release),
}


def process(queue: str, is_stopping: Callable[[], bool]) -> Process:
    """This process on this host, serving `queue`."""

    def keep_alive() -> None:
        sessions = session_factory(SWEEPER)
        with sessions.begin() as session:
            sweep(session)
        with sessions.begin() as session:
            say_alive(session, f"{queue}@{socket.gethostname()}", queue)

    return Process(f"{socket.gethostname()}:{os.getpid()}", is_stopping, keep_alive, forks_jobs=True)


def make_drain(here: Process) -> Drain:
    """This process's drain: one long-lived loop in a thread of its own, one client, one limiter."""
    sys.setswitchinterval(_SWITCH_S)
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="calls", daemon=True).start()
    configured = settings()
    assert configured.redis_url is not None  # the doorbell came through it
    client = OpenAIClient(configured)
    limiter = Limiter(configured.redis_url, configured.provider_account, here.owner)
    return Drain(session_factory(DRAIN), HANDLERS, client, limiter, loop, here, configured.llm_in_flight)


def serve_job(here: Process) -> bool:
    """Do one due job. Returns whether there was one."""
    return work_job(session_factory(JOB), JOBS, here)

"""What a stage gives the engine."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy.orm import Session

from app.errors import DomainError, Unparsable
from app.pipeline import Outcome, Stage
from app.prompting.prompt import Answered, Prompt
from app.storage.tables import Call, Run, WorkItem


class Ending(NamedTuple):
    """How an item ended: with an outcome, or handed on to the next stage."""

    outcome: Outcome | None = None
    next_stage: Stage | None = None


class Handler(Protocol):
    """One question to a model about each `item.source_id`: two functions around one call.

    They work on groups, so that the database is asked once for many items, and answer one for one in the same
    order; what is wrong with a single item is its own answer, an error that is returned and not raised. The engine
    opens and closes the calls, keeps the raw replies and commits; a handler only reads and writes rows.
    """

    def prepare(
        self, session: Session, items: Sequence[WorkItem]
    ) -> Sequence[Prompt | Answered | DomainError]:
        """The questions. After an unusable reply the engine repeats one with what was wrong."""
        ...

    def record(
        self, session: Session, answered: Sequence[tuple[WorkItem, Call]]
    ) -> Sequence[Ending | DomainError]:
        """Keep what each `call.reply` says. `Unparsable`: ask again (at most twice more)."""
        ...

    def give_up(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> Ending:
        """No usable reply after the last try: keep that as a result of its own."""
        ...


class Job(Protocol):
    """Processor work of one run, in steps.

    It yields wherever its rows may be committed; the checkpoint it needs to go on stands in `run.progress`.
    After a crash, a pause or a lost lease it is called again and continues from there.
    """

    def __call__(self, session: Session, run: Run) -> Iterator[None]: ...


Handlers = Mapping[Stage, Handler]
Jobs = Mapping[Stage, Job]

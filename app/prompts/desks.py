"""What a stage gives so that its prompts can be edited. Touches the database through the session that it is given."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy.orm import Session

from app.pipeline import Stage, Task
from app.prompting.editing import Placeholder
from app.prompting.template import Template
from app.prompting.trying import Preview, Reading, Subject
from app.storage.tables import Call, Run


class Desk(Protocol):
    """The prompts of one stage, one for each task. The entry point hands them over, so nothing here imports a stage."""

    @property
    def kind(self) -> str:
        """What their names begin with: generate or judge."""
        ...

    @property
    def stage(self) -> Stage:
        """That of their tries."""
        ...

    @property
    def asks(self) -> str:
        """Who is asked: generator or discriminator."""
        ...

    @property
    def subject(self) -> str:
        """What a prompt is looked at on: a pick or an instance."""
        ...

    def shipped(self, task: Task) -> Template: ...

    def placeholders(self, task: Task) -> Sequence[Placeholder]: ...

    def schema(self, session: Session, project_id: int, task: Task) -> Mapping[str, Any]: ...

    def needs_model(self, task: Task) -> bool:
        """Whether nothing is done offline in this task."""
        ...

    def subjects(self, session: Session, project_id: int, task: Task, person_id: int) -> list[Subject]:
        """A few to choose from, the usual ones first. Raises Conflict where there can be none yet."""
        ...

    def previews(
        self, session: Session, project_id: int, task: Task, written: Template, subjects: Sequence[Subject]
    ) -> list[Preview]: ...

    def begin(self, session: Session, run: Run, task: Task, subjects: Sequence[Subject]) -> None:
        """Fix with the run of a try what it needs."""
        ...

    def read(self, session: Session, run: Run, call: Call) -> Reading: ...


Desks = Mapping[str, Desk]  # by kind

"""Tries of prompts and stored calls, for pages."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.pipeline import RunKind
from app.storage.tables import Call, Run, WorkItem


def tries_of(session: Session, project_id: int, name: str, most: int) -> Sequence[Run]:
    """Of one prompt, the newest first."""
    query = (
        select(Run)
        .where(
            Run.project_id == project_id,
            Run.kind == RunKind.TRY,
            Run.params["prompt"].as_string() == name,
        )
        .order_by(Run.id.desc())
        .limit(most)
    )
    return session.scalars(query).all()


def try_of(session: Session, project_id: int, name: str, run_id: int) -> Run:
    """Raises NotFound."""
    run = session.get(Run, run_id)
    if run is None or (run.project_id, run.kind, run.params.get("prompt")) != (project_id, RunKind.TRY, name):
        raise NotFound(f"there is no try {run_id} of {name} in this project")
    return run


def items_with_last_call(session: Session, run_id: int) -> list[tuple[WorkItem, Call | None]]:
    """In the order in which they were added."""
    last = select(func.max(Call.id)).where(Call.run_id == run_id).group_by(Call.item_id)
    calls = {call.item_id: call for call in session.scalars(select(Call).where(Call.id.in_(last)))}
    items = session.scalars(select(WorkItem).where(WorkItem.run_id == run_id).order_by(WorkItem.id))
    return [(item, calls.get(item.id)) for item in items]

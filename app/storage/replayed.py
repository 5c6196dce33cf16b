"""Whether prompts or rules were tried on what people decided, before they come in force. Touches the tables, reading only."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from app.errors import Conflict
from app.pipeline import RunKind, RunState, Verdict
from app.storage.decided import decided, has_served
from app.storage.tables import Instance, Run, RunTemplate, VerdictRow

WITHOUT = "without_replay"


def demand_replay(session: Session, project_id: int, what: str, hashes: Collection[str]) -> None:
    """Let pass what a completed replay judged by, and everything where people have decided nothing to replay on.

    `hashes`: of all the texts that one replay has to have judged by. Raises Conflict.
    """
    if needs_replay(session, project_id, hashes):
        raise Conflict(
            f"{what} was never replayed on what people decided: replay it first, or say that it comes in force"
            f" without ({WITHOUT})"
        )


def needs_replay(session: Session, project_id: int, hashes: Collection[str]) -> bool:
    return (
        bool(hashes)
        and not _was_replayed(session, project_id, hashes)
        and session.scalar(replayable(project_id).limit(1)) is not None
    )


def replayable(project_id: int, *conditions: ColumnElement[bool]) -> Select[int, int, bool]:
    """(instance, verdict, is_good) of decided instances with a readable verdict that never served as an example.

    The newest decision comes first.
    """
    word = decided(project_id)
    return (
        select(word.c.instance_id, word.c.verdict_id, word.c.is_good)
        .join(Instance, Instance.id == word.c.instance_id)
        .join(VerdictRow, VerdictRow.id == word.c.verdict_id)
        .where(VerdictRow.overall != Verdict.INVALID, ~has_served(), *conditions)
        .order_by(word.c.id.desc())
    )


def _was_replayed(session: Session, project_id: int, hashes: Collection[str]) -> bool:
    judged_by_all = (
        select(RunTemplate.run_id)
        .join(Run, Run.id == RunTemplate.run_id)
        .where(
            Run.project_id == project_id,
            Run.kind == RunKind.REPLAY,
            Run.state.in_((RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS)),
            RunTemplate.content_hash.in_(hashes),
        )
        .group_by(RunTemplate.run_id)
        .having(func.count(RunTemplate.content_hash.distinct()) == len(set(hashes)))
        .limit(1)
    )
    return session.scalar(judged_by_all) is not None

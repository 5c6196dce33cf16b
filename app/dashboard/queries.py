"""Counts across the stages of one project. Reading only."""

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.dashboard.funnel import Counts
from app.pipeline import UNFINISHED_RUNS, InstanceStatus, RunKind, RunState, Stream
from app.storage.tables import (
    Decision,
    Instance,
    Pick,
    Release,
    RuleAnswer,
    RuleOverride,
    Run,
    RunCount,
    Selection,
    Snippet,
    VerdictRow,
)

TROUBLED = (RunState.PAUSED, RunState.FAILED, RunState.COMPLETED_WITH_ERRORS)


def counts(session: Session, project_id: int) -> Counts:
    """Every number of the funnel, each from its own table."""
    here = Instance.project_id == project_id
    picked = (
        select(func.count(Pick.snippet_id.distinct()))
        .join(Selection, Selection.id == Pick.selection_id)
        .where(Selection.project_id == project_id)
    )
    unmade = (
        select(func.count())
        .select_from(Instance)
        .join(Run, Run.id == Instance.run_id)
        .where(here, Instance.status == InstanceStatus.GENERATING, Run.state.not_in(UNFINISHED_RUNS))
    )
    statuses = select(Instance.status, func.count()).where(here).group_by(Instance.status)
    edited = select(func.count()).where(
        here, Instance.status == InstanceStatus.ACCEPTED, Instance.revision > 0
    )
    verdicts = (
        select(Instance.verdict, func.count())
        .where(here, Instance.status == InstanceStatus.WAITING)
        .group_by(Instance.verdict)
    )
    return Counts(
        rows=_rows_read(session, project_id, RunKind.INGEST),
        imported=_rows_read(session, project_id, RunKind.IMPORT),
        snippets=session.scalar(select(func.count()).where(Snippet.project_id == project_id)) or 0,
        picked=session.scalar(picked) or 0,
        unmade=session.scalar(unmade) or 0,
        statuses={status: number for status, number in session.execute(statuses)},
        edited=session.scalar(edited) or 0,
        verdicts={verdict: number for verdict, number in session.execute(verdicts)},
    )


def _rows_read(session: Session, project_id: int, kind: RunKind) -> dict[str, int]:
    """How the rows of all runs of a kind ended."""
    rows = (
        select(RunCount.code, func.sum(RunCount.rows))
        .join(Run, Run.id == RunCount.run_id)
        .where(Run.project_id == project_id, Run.kind == kind)
        .group_by(RunCount.code)
    )
    return {code: int(number) for code, number in session.execute(rows)}


def unfinished_runs(session: Session, project_id: int, most: int = 5) -> list[Run]:
    """The newest runs that still have something to do."""
    query = (
        select(Run)
        .where(Run.project_id == project_id, Run.state.in_(UNFINISHED_RUNS))
        .order_by(Run.id.desc())
        .limit(most)
    )
    return list(session.scalars(query))


def troubled_runs(session: Session, project_id: int, most: int = 5) -> list[Run]:
    """The newest runs that paused, failed or left errors behind."""
    query = (
        select(Run)
        .where(Run.project_id == project_id, Run.state.in_(TROUBLED))
        .order_by(Run.id.desc())
        .limit(most)
    )
    return list(session.scalars(query))


class Doubts(NamedTuple):
    """Numbers that a person should look at."""

    contradictory: int  # waiting instances whose verdict contradicts itself
    unknown_licence: int  # snippets


def doubts(session: Session, project_id: int) -> Doubts:
    contradictory = select(func.count()).where(
        Instance.project_id == project_id,
        Instance.status == InstanceStatus.WAITING,
        Instance.contradictory,
    )
    unknown = select(func.count()).where(Snippet.project_id == project_id, Snippet.license.is_(None))
    return Doubts(session.scalar(contradictory) or 0, session.scalar(unknown) or 0)


def releases(session: Session, project_id: int, most: int = 5) -> list[Release]:
    query = select(Release).where(Release.project_id == project_id).order_by(Release.id.desc()).limit(most)
    return list(session.scalars(query))


def release_count(session: Session, project_id: int) -> int:
    return session.scalar(select(func.count()).where(Release.project_id == project_id)) or 0


def decisions_by_verdict(session: Session, project_id: int) -> list[tuple[str | None, str, int]]:
    """(verdict that was on screen, action, standing decisions); in bulk nobody looked at one, in an audit neither."""
    query = (
        select(VerdictRow.overall, Decision.action, func.count())
        .select_from(Decision)
        .outerjoin(VerdictRow, VerdictRow.id == Decision.verdict_id)
        .where(
            Decision.project_id == project_id,
            Decision.stream == Stream.WORK,
            Decision.undone_at.is_(None),
            Decision.bulk_action_id.is_(None),
        )
        .group_by(VerdictRow.overall, Decision.action)
    )
    return [(overall, action, number) for overall, action, number in session.execute(query)]


def overruled_rules(session: Session, project_id: int) -> list[tuple[str, str, str, int]]:
    """(rule, the machine's answer, the person's answer, standing decisions)."""
    query = (
        select(RuleOverride.rule, RuleAnswer.answer, RuleOverride.answer, func.count())
        .join(Decision, Decision.id == RuleOverride.decision_id)
        .join(
            RuleAnswer,
            (RuleAnswer.verdict_id == Decision.verdict_id) & (RuleAnswer.rule == RuleOverride.rule),
        )
        .where(Decision.project_id == project_id, Decision.undone_at.is_(None))
        .group_by(RuleOverride.rule, RuleAnswer.answer, RuleOverride.answer)
        .order_by(RuleOverride.rule)
    )
    return [(rule, machine, person, number) for rule, machine, person, number in session.execute(query)]

"""What people decided beside what the judge had said. Touches the tables, reading only.

An instance counts once, by the newest word on it that stands and was given to it alone: a bulk action looks at none.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Date, Select, cast, func, select
from sqlalchemy.orm import Session

from app.dashboard.calibration import Confusion, Decided, RuleCounts, confusion
from app.dashboard.progress import Period, within
from app.errors import NotFound
from app.pipeline import RunKind
from app.storage.decided import decided, has_served
from app.storage.tables import (
    Call,
    Decision,
    Instance,
    ReplayVerdict,
    RuleAnswer,
    RuleOverride,
    Run,
    Template,
    VerdictRow,
)
from app.storage.versions import versions_of


class Kind(NamedTuple):
    """What the judged instances are told apart by. `week` begins on its Monday."""

    task: str
    language: str
    model: str
    prompt: str  # hash of the judge's template
    week: date


class Judged(NamedTuple):
    """Confusions, each group with those of its kind; prompts by name and first characters of their hash."""

    all: Confusion
    by_task: Mapping[str, Confusion]
    by_language: Mapping[str, Confusion]
    by_model: Mapping[str, Confusion]
    by_prompt: Mapping[str, Confusion]
    by_week: Mapping[str, Confusion]


def judged(session: Session, project_id: int, period: Period) -> Judged:
    """The judge against people, over everything that was decided in the period."""
    word = decided(project_id, within(Decision.created_at, period))
    week = cast(func.date_trunc("week", word.c.at), Date)
    kinds = (Instance.task, Instance.language, Call.model, Call.template_hash, week)
    query = (
        select(*kinds, VerdictRow.overall, word.c.is_good, func.count())
        .select_from(word)
        .join(Instance, Instance.id == word.c.instance_id)
        .join(VerdictRow, VerdictRow.id == word.c.verdict_id)
        .join(Call, Call.id == VerdictRow.call_id)
        .group_by(*kinds, VerdictRow.overall, word.c.is_good)
    )
    found = [(Kind(*row[:5]), Decided(*row[5:])) for row in session.execute(query)]
    names = _names(session, {kind.prompt for kind, _ in found})
    return Judged(
        confusion(one for _, one in found),
        _by(found, [kind.task for kind, _ in found]),
        _by(found, [kind.language for kind, _ in found]),
        _by(found, [kind.model for kind, _ in found]),
        _by(found, [names.get(kind.prompt, kind.prompt[:8]) for kind, _ in found]),
        _by(found, [kind.week.isoformat() for kind, _ in found]),
    )


def _by(found: Sequence[tuple[Kind, Decided]], names: Sequence[str]) -> dict[str, Confusion]:
    groups: defaultdict[str, list[Decided]] = defaultdict(list)
    for (_, one), name in zip(found, names, strict=True):
        groups[name].append(one)
    return {name: confusion(groups[name]) for name in sorted(groups)}


def _names(session: Session, hashes: set[str]) -> dict[str, str]:
    rows = session.execute(
        select(Template.content_hash, Template.name).where(Template.content_hash.in_(hashes))
    )
    return {content_hash: f"{name} {content_hash[:8]}" for content_hash, name in rows}


def rules(session: Session, project_id: int, period: Period) -> list[RuleCounts]:
    """Every rule that was asked, with its answers beside people's decisions."""
    word = decided(project_id, within(Decision.created_at, period))
    overruled = RuleOverride.rule.is_not(None)
    kinds = (RuleAnswer.rule, RuleAnswer.answer, word.c.is_good, overruled)
    query = (
        select(*kinds, func.count())
        .select_from(word)
        .join(RuleAnswer, RuleAnswer.verdict_id == word.c.verdict_id)
        .outerjoin(
            RuleOverride, (RuleOverride.decision_id == word.c.id) & (RuleOverride.rule == RuleAnswer.rule)
        )
        .group_by(*kinds)
    )
    counts: defaultdict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for rule, answer, is_good, is_overruled, units in session.execute(query):
        of = counts[rule]
        if answer == "not_checked":
            of["not_checked"] += units
            continue
        of[f"{answer}_{'good' if is_good else 'defective'}"] += units
        if is_overruled:
            of[f"{answer}_overruled"] += units
    return [RuleCounts(rule, **counts[rule]) for rule in sorted(counts)]


# --- replay -------------------------------------------------------------------------------------------------


class Stored(NamedTuple):
    """A decided instance with the answers that its verdict rests on: (rule, required, answer)."""

    instance_id: int
    instruction: str
    verdict: str
    is_good: bool
    at: datetime
    answers: Sequence[tuple[str, bool, str]]


def for_replay(session: Session, project_id: int, most: int) -> list[Stored]:
    """The newest `most` decided instances with a valid verdict that never served as a case in a prompt."""
    word = decided(project_id)
    answers = (
        select(func.json_agg(func.json_build_array(RuleAnswer.rule, RuleAnswer.required, RuleAnswer.answer)))
        .where(RuleAnswer.verdict_id == VerdictRow.id)
        .correlate(VerdictRow)
        .scalar_subquery()
    )
    query: Select[*tuple[Any, ...]] = (
        select(
            word.c.instance_id,
            func.left(Instance.instruction, 200),
            VerdictRow.overall,
            word.c.is_good,
            word.c.at,
            answers,
        )
        .select_from(word)
        .join(Instance, Instance.id == word.c.instance_id)
        .join(VerdictRow, VerdictRow.id == word.c.verdict_id)
        .where(VerdictRow.overall != "invalid", ~has_served())
        .order_by(word.c.id.desc())
        .limit(most)
    )
    return [
        Stored(instance_id, instruction, verdict, is_good, at, [tuple(one) for one in found or ()])
        for instance_id, instruction, verdict, is_good, at, found in session.execute(query)
    ]


class Replayed(NamedTuple):
    """A decided instance with both verdicts; `after` is None until the other judge has answered."""

    instance_id: int
    instruction: str
    verdict: str
    after: str | None
    is_good: bool


def replayed_by(session: Session, run_id: int) -> list[Replayed]:
    """What a replay's judge said beside what people saw, the newest decision first."""
    query = (
        select(
            ReplayVerdict.instance_id,
            func.left(Instance.instruction, 200),
            VerdictRow.overall,
            ReplayVerdict.overall,
            ReplayVerdict.is_good,
        )
        .join(VerdictRow, VerdictRow.id == ReplayVerdict.verdict_id)
        .join(Instance, Instance.id == ReplayVerdict.instance_id)
        .where(ReplayVerdict.run_id == run_id)
        .order_by(ReplayVerdict.instance_id.desc())
    )
    return [Replayed(*row) for row in session.execute(query)]


def replay_run(session: Session, project_id: int, run_id: int) -> Run:
    """Raises NotFound."""
    found = session.get(Run, run_id)
    if found is None or found.project_id != project_id or found.kind != RunKind.REPLAY:
        raise NotFound(f"there is no replay {run_id} in this project")
    return found


def versions_to_try(session: Session, project_id: int, name: str) -> list[int]:
    """Of the rules or a prompt of the judge, the newest first."""
    return [one.row.version for one in versions_of(session, project_id, name)]


def replay_runs(session: Session, project_id: int, most: int) -> list[Run]:
    """The newest first."""
    query = select(Run).where(Run.project_id == project_id, Run.kind == RunKind.REPLAY)
    return list(session.scalars(query.order_by(Run.id.desc()).limit(most)))

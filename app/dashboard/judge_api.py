"""The judge against people over REST, and the replay of other weights of its rules."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from app.dashboard import calibration, judged
from app.dashboard.judge_pages import known_rules, replayed, replayed_by_a_judge
from app.dashboard.progress import Period
from app.dashboard.replay import MOST_FLIPS, Replay
from app.web.dependencies import AdminProject, DbSession, ReadProject
from app.web.idempotency import api_router

router = api_router(tags=["quality"])


class Share(BaseModel):
    """`hits` of `units` with the exact 95 % interval (Clopper and Pearson)."""

    hits: int
    units: int
    value: float | None = Field(examples=[0.91])
    low: float
    high: float


class Confusion(BaseModel):
    """Good: people accepted it as it was. Defective: they edited or rejected it. The judge's `fail` is its positive."""

    units: int
    failed_defective: int
    failed_good: int
    passed_defective: int
    passed_good: int
    invalid: int = Field(description="decided by people, verdict invalid; in none of the others")
    sensitivity: Share
    specificity: Share
    kappa: float | None = Field(examples=[0.62])


class RuleShape(BaseModel):
    rule: str
    sensitivity: Share
    specificity: Share
    not_checked: int
    no_overruled: int
    yes_overruled: int
    use: calibration.Use


class Calibration(BaseModel):
    all: Confusion
    by_task: dict[str, Confusion] = Field(examples=[{}])
    by_language: dict[str, Confusion]
    by_model: dict[str, Confusion]
    by_prompt: dict[str, Confusion]
    by_week: dict[str, Confusion]
    rules: list[RuleShape]


class ReplayRequest(BaseModel):
    """Weights to try; a rule that is not named keeps the one it had."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"rules": {"readable": "required"}}]}
    )

    rules: dict[str, str] = Field(description="required, advisory or retired, by rule", min_length=1)


class Flip(BaseModel):
    instance_id: int
    before: str
    after: str
    people: str = Field(description="good or defective")


class ReplayShape(BaseModel):
    """Other verdicts on decided instances beside those that people saw; no instance is changed."""

    instances: int
    weights: dict[str, str] = Field(
        description="in force, before those that were tried; empty for another judge",
        examples=[{"readable": "advisory"}],
    )
    before: Confusion
    after: Confusion
    only_before_right: int
    only_after_right: int
    mcnemar: float | None = Field(description="exact p; null where the two are never right apart")
    flips: int
    flipped: list[Flip] = Field(description=f"the newest {MOST_FLIPS}")


@router.get("/projects/{project}/quality/judge")
def judge(
    session: DbSession, project: ReadProject, period: Annotated[Period, Query()] = Period.ALL
) -> Calibration:
    """Verdicts against people's decisions: confusion, sensitivity and specificity, by group and by rule."""
    found = judged.judged(session, project.id, period)
    groups = {
        name: {key: confusion_shape(one) for key, one in group.items()}
        for name, group in found._asdict().items()
        if name != "all"
    }
    return Calibration(
        all=confusion_shape(found.all),
        rules=[_rule(one) for one in judged.rules(session, project.id, period)],
        **groups,
    )


@router.post("/projects/{project}/quality/replays")
def replay(session: DbSession, project: AdminProject, asked: ReplayRequest) -> ReplayShape:
    """What other weights would have said of decided instances that never served as an example. Calls no model."""
    stored, found = replayed(session, project.id, asked.rules)
    return _shape(stored, found, weights=dict(known_rules(stored)))


@router.get("/projects/{project}/quality/replays/{run_id}")
def replay_by_a_judge(
    session: DbSession, project: ReadProject, run_id: Annotated[int, Path(ge=1, le=2**63 - 1)]
) -> ReplayShape:
    """What the other judge of a replay says, as far as it has answered, beside the verdicts that people saw."""
    run = judged.replay_run(session, project.id, run_id)
    return _shape(*replayed_by_a_judge(session, run.id), weights={})


def _shape(
    stored: Sequence[judged.Stored | judged.Replayed], found: Replay, weights: dict[str, str]
) -> ReplayShape:
    return ReplayShape(
        instances=len(stored),
        weights=weights,
        before=confusion_shape(found.before),
        after=confusion_shape(found.after),
        only_before_right=found.paired.only_old_right,
        only_after_right=found.paired.only_new_right,
        mcnemar=found.paired.mcnemar,
        flips=len(found.flips),
        flipped=[
            Flip(
                instance_id=stored[place].instance_id,
                before=stored[place].verdict,
                after=found.verdicts[place],
                people="good" if stored[place].is_good else "defective",
            )
            for place in found.flips[:MOST_FLIPS]
        ],
    )


def _share(one: calibration.Share) -> Share:
    low, high = one.interval
    return Share(hits=one.hits, units=one.units, value=one.value, low=low, high=high)


def confusion_shape(one: calibration.Confusion) -> Confusion:
    return Confusion(
        **one._asdict(),
        units=one.units,
        sensitivity=_share(one.sensitivity),
        specificity=_share(one.specificity),
        kappa=one.kappa,
    )


def _rule(one: calibration.RuleCounts) -> RuleShape:
    return RuleShape(
        rule=one.rule,
        sensitivity=_share(one.sensitivity),
        specificity=_share(one.specificity),
        not_checked=one.not_checked,
        no_overruled=one.no_overruled,
        yes_overruled=one.yes_overruled,
        use=one.use,
    )

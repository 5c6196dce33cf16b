"""The judge against people: how far its verdicts can be trusted, and what other rules would have said."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import Path, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from app.dashboard import judged
from app.dashboard.calibration import FEWEST
from app.dashboard.progress import Period
from app.dashboard.quality_pages import PERIODS, AskedPeriod
from app.dashboard.replay import MOST_FLIPS, MOST_REPLAYED, Replay, Weight, beside, checked_weights, replay
from app.engine.runs import progress_of
from app.pipeline import Task
from app.web.dependencies import CurrentProject, DbSession, require_role
from app.web.retry import page_router
from app.web.templating import render

router = page_router()

MOST_RUNS_LISTED = 20


@router.get("/quality/judge")
def judge_page(
    request: Request, session: DbSession, project: CurrentProject, period: AskedPeriod = Period.ALL
) -> HTMLResponse:
    found = judged.judged(session, project.id, period)
    groups = (
        ("Task", found.by_task),
        ("Language", found.by_language),
        ("Model", found.by_model),
        ("Prompt", found.by_prompt),
        ("Week from", found.by_week),
    )
    return render(
        request,
        "dashboard/judge.html",
        period=period,
        periods=PERIODS,
        all=found.all,
        groups=groups,
        rules=judged.rules(session, project.id, period),
        fewest=FEWEST,
    )


@router.get("/quality/replay", dependencies=[require_role("admin")])
def replay_page(request: Request, session: DbSession, project: CurrentProject) -> HTMLResponse:
    """The rules as `?rule.NAME=advisory`: a question, so that it has an address and changes nothing.

    A rule that no stored answer is about cannot be replayed so; the page names it. `rules` and `prompt` are what
    the form for another judge begins with.
    """
    asked = {name[5:]: value for name, value in request.query_params.items() if name.startswith("rule.")}
    stored = judged.for_replay(session, project.id, MOST_REPLAYED)
    known = known_rules(stored)
    unanswered = sorted(name for name, weight in asked.items() if name not in known and weight != "retired")
    weights = known | checked_weights(
        {name: weight for name, weight in asked.items() if name in known}, list(known)
    )
    return render(
        request,
        "dashboard/replay.html",
        known=known,
        unanswered=unanswered,
        weights=weights,
        versions_of_rules=judged.versions_to_try(session, project.id, "rules"),
        versions_of_prompts={
            task: judged.versions_to_try(session, project.id, f"judge/{task}") for task in Task
        },
        rules=request.query_params.get("rules", ""),
        prompt=request.query_params.get("prompt", ""),
        choices=list(Weight),
        stored=stored,
        found=replay(stored, weights) if asked and stored else None,
        most_flips=MOST_FLIPS,
        runs=judged.replay_runs(session, project.id, MOST_RUNS_LISTED),
    )


@router.get("/quality/replays/{run_id}", dependencies=[require_role("admin")])
def replay_run_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    run_id: Annotated[int, Path(ge=1, le=2**63 - 1)],
) -> HTMLResponse:
    """What another judge says of decided instances, as far as it has answered."""
    run = judged.replay_run(session, project.id, run_id)
    stored, found = replayed_by_a_judge(session, run.id)
    return render(
        request,
        "dashboard/replay_run.html",
        run=run,
        progress=progress_of(session, run),
        stored=stored,
        found=found,
        most_flips=MOST_FLIPS,
    )


def replayed_by_a_judge(session: Session, run_id: int) -> tuple[list[judged.Replayed], Replay]:
    """Those that the judge has answered, and how they compare."""
    stored = [one for one in judged.replayed_by(session, run_id) if one.after is not None]
    return stored, beside(
        [one.verdict for one in stored], [one.after or "" for one in stored], [one.is_good for one in stored]
    )


def known_rules(stored: Sequence[judged.Stored]) -> dict[str, Weight]:
    """Every rule with an answer, by name, with the weight that it had in the newest verdict that asked it."""
    known: dict[str, Weight] = {}
    for one in stored:
        for rule, was_required, _ in one.answers:
            known.setdefault(rule, Weight.REQUIRED if was_required else Weight.ADVISORY)
    return dict(sorted(known.items()))


def replayed(
    session: Session, project_id: int, asked: Mapping[str, str]
) -> tuple[list[judged.Stored], Replay]:
    """What these weights would have said. Raises InvalidInput naming the rule."""
    stored = judged.for_replay(session, project_id, MOST_REPLAYED)
    return stored, replay(stored, checked_weights(asked, list(known_rules(stored))))

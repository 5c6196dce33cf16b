"""How the reading goes: what everybody has done, and for leads how far readers agree."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import HTMLResponse

from app.dashboard import audits, progress, readings
from app.dashboard.agreement import FEWEST_UNITS, agreement, pairs
from app.dashboard.progress import LONGEST_S, Period
from app.pipeline import INSTANCE_LANGUAGES, Role
from app.web.dependencies import CurrentPerson, CurrentProject, CurrentRole, DbSession
from app.web.retry import page_router
from app.web.templating import render

router = page_router()

MOST_PAIRS = 30
PERIODS = (
    (Period.TODAY, "today"),
    (Period.WEEK, "the last 7 days"),
    (Period.MONTH, "the last 30 days"),
    (Period.ALL, "all time"),
)
AskedPeriod = Annotated[Period, Query()]


@router.get("/quality")
def quality_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    role: CurrentRole,
    period: AskedPeriod = Period.MONTH,
) -> HTMLResponse:
    """Leads see everybody; others themselves and the team as a whole."""
    leads = role == Role.ADMIN
    tallies = progress.tallies(session, project.id, period)
    readers = progress.readers(session, project.id, tallies)
    shown = readers if leads else [one for one in readers if one.person_id == person.id]
    leads_see_speeds = progress.speed_visible(session, project.id)
    all_speeds = leads and leads_see_speeds
    patterns = readings.patterns(session, project.id, period) if leads else []
    closest, pair_count = pairs(patterns, MOST_PAIRS)
    return render(
        request,
        "dashboard/quality.html",
        period=period,
        periods=PERIODS,
        rows=[(one, progress.of_person(tallies, one.person_id)) for one in shown],
        team=progress.total(tallies.values()),
        begun=bool(tallies),
        streams=progress.by_stream(tallies),
        speeds=progress.speeds(session, project.id, period, None if all_speeds else person.id),
        all_speeds=all_speeds,
        leads_see_speeds=leads_see_speeds,
        longest_min=LONGEST_S // 60,
        agreement=agreement(patterns),
        pairs=closest,
        pair_count=pair_count,
        names={one.person_id: one.name for one in readers},
        disagreements=readings.disagreements(session, project.id, period) if patterns else [],
        is_blind=readings.is_blind(session, project.id),
        audit=audits.audit_now(session, project.id),
        fewest=FEWEST_UNITS,
        languages=INSTANCE_LANGUAGES,
    )


@router.get("/quality/tasks")
def tasks_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    role: CurrentRole,
    period: AskedPeriod = Period.MONTH,
) -> HTMLResponse:
    """By task and language: how far the reading is, and for leads how far readers agree."""
    patterns = readings.patterns_by_task(session, project.id, period) if role == Role.ADMIN else {}
    return render(
        request,
        "dashboard/tasks.html",
        period=period,
        periods=PERIODS,
        statuses=progress.statuses_by_task(session, project.id),
        agreements={of: agreement(some) for of, some in patterns.items()},
        fewest=FEWEST_UNITS,
    )

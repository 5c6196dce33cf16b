"""What share of the instances of a filter is good, as people and verdicts tell."""

from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.responses import HTMLResponse

from app.dashboard.estimates import DRAWN, FEWEST_UNITS, PREDICTION
from app.dashboard.labelled import Filters, estimated
from app.dashboard.progress import Period
from app.dashboard.quality_pages import PERIODS, AskedPeriod
from app.pipeline import INSTANCE_LANGUAGES, Task, Verdict
from app.web.dependencies import CurrentProject, DbSession
from app.web.retry import page_router
from app.web.templating import render

router = page_router()

CHOICES = {"task": list(Task), "language": list(INSTANCE_LANGUAGES), "verdict": list(Verdict)}


def asked_filters(
    task: Annotated[str, Query(max_length=40)] = "",
    language: Annotated[str, Query(max_length=40)] = "",
    verdict: Annotated[str, Query(max_length=40)] = "",
) -> Filters:
    """What the address filters by; empty fields of the form are no filter."""
    return Filters(*(value or None for value in (task, language, verdict)))


@router.get("/quality/estimates")
def estimates_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    filters: Annotated[Filters, Depends(asked_filters)],
    period: AskedPeriod = Period.ALL,
) -> HTMLResponse:
    """The filter stands in the address; the period is that of the reading."""
    return render(
        request,
        "dashboard/estimates.html",
        filters=filters,
        choices=CHOICES,
        period=period,
        periods=PERIODS,
        found=estimated(session, project.id, filters, period),
        drawn=DRAWN,
        prediction=PREDICTION,
        fewest=FEWEST_UNITS,
    )

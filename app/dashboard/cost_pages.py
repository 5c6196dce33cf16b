"""What good instances cost."""

from fastapi import Request
from fastapi.responses import HTMLResponse

from app.dashboard import costs
from app.web.dependencies import CurrentProject, DbSession
from app.web.retry import page_router
from app.web.templating import render

router = page_router()


@router.get("/quality/costs")
def costs_page(request: Request, session: DbSession, project: CurrentProject) -> HTMLResponse:
    tasks = costs.by_task(session, project.id)
    return render(
        request,
        "dashboard/costs.html",
        tasks=tasks,
        all=costs.in_all(tasks),
        stages=costs.by_stage(session, project.id),
    )

"""The overview of a project."""

from fastapi import Request
from fastapi.responses import HTMLResponse

from app.dashboard import audits, costs, queries
from app.dashboard.funnel import funnel
from app.engine.runs import progress_of
from app.engine.sweep import queues_alive
from app.pipeline import InstanceStatus
from app.queue import QUEUES
from app.web.dependencies import CurrentProject, DbSession
from app.web.retry import page_router
from app.web.templating import render

router = page_router()


@router.get("/")
def overview(request: Request, session: DbSession, project: CurrentProject) -> HTMLResponse:
    counts = queries.counts(session, project.id)
    spent = costs.by_stage(session, project.id)
    return render(
        request,
        "dashboard/page.html",
        counts=counts,
        waiting=counts.statuses.get(InstanceStatus.WAITING, 0),
        accepted=counts.statuses.get(InstanceStatus.ACCEPTED, 0),
        unusable=counts.statuses.get(InstanceStatus.UNUSABLE, 0),
        steps=funnel(counts),
        costs=spent,
        cost_micro=sum(one.cost_micro for one in spent),
        running=[(run, progress_of(session, run)) for run in queries.unfinished_runs(session, project.id)],
        troubled=queries.troubled_runs(session, project.id),
        doubts=queries.doubts(session, project.id),
        audit=audits.audit_now(session, project.id),
        release_count=queries.release_count(session, project.id),
        releases=queries.releases(session, project.id),
        silent_queues=sorted(set(QUEUES.values()) - queues_alive(session)),
    )

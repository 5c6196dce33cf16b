"""The pages of long work."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.orm import Session

from app.engine.runs import progress_of
from app.engine.sweep import queues_alive
from app.pipeline import UNFINISHED_RUNS, Outcome, RunKind
from app.queue import QUEUES
from app.runs import queries, service
from app.storage.tables import Run
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role
from app.web.pagination import AskedWindow, cut
from app.web.templating import is_htmx, render

router = APIRouter()

RunId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/runs")
def runs(request: Request, session: DbSession, project: CurrentProject, asked: AskedWindow) -> HTMLResponse:
    rows, following = cut(
        queries.runs_of(session, project.id, asked.after, asked.limit + 1), asked, lambda run: run.id
    )
    return render(
        request,
        "runs/page.html",
        runs=[(run, progress_of(session, run)) for run in rows],
        starters=queries.starters(session, rows),
        next_cursor=following,
        silent_queues=sorted(set(QUEUES.values()) - queues_alive(session)),
    )


@router.get("/runs/{run_id}")
def run(request: Request, session: DbSession, project: CurrentProject, run_id: RunId) -> HTMLResponse:
    """The page, or only its moving part for htmx."""
    found = queries.run_of(session, project.id, run_id)
    template = "runs/_progress.html" if is_htmx(request) else "runs/run.html"
    return render(request, template, **_context(session, found))


@router.post("/runs/{run_id}/{step}", dependencies=[require_role("admin")])
def steer(
    session: DbSession, project: CurrentProject, person: CurrentPerson, run_id: RunId, step: service.Step
) -> RedirectResponse:
    service.steer(session, project.id, run_id, step, person.id)
    return RedirectResponse(f"/runs/{run_id}", 303)


def _context(session: Session, run: Run) -> dict[str, Any]:
    shown = (Outcome.UNUSABLE, Outcome.ERROR, Outcome.INVALID_VERDICT) if run.kind == RunKind.GENERATE else ()
    return {
        "run": run,
        "progress": progress_of(session, run),
        "is_open": run.state in UNFINISHED_RUNS,
        "starter": queries.starters(session, [run]).get(run.person_id or 0),
        "exhibits": {outcome.value: queries.exhibits(session, run.id, outcome) for outcome in shown},
        "waiting": queries.waiting_exhibits(session, run.id),
        "rejections": queries.rejections(session, run.id),
        "lost_calls": queries.lost_calls(session, run.id),
        "silent_queues": sorted(set(QUEUES.values()) - queues_alive(session)),
    }

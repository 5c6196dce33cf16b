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
        silent_queues=_silent_queues(session),
    )


@router.get("/runs/{run_id}")
def run(request: Request, session: DbSession, project: CurrentProject, run_id: RunId) -> HTMLResponse:
    """The page; for htmx only the part that moves, so that what a person opened stays open."""
    found = queries.run_of(session, project.id, run_id)
    progress = _progress(session, found)
    if is_htmx(request):
        return render(request, "runs/_progress.html", **progress)
    return render(request, "runs/run.html", **progress, **_details(session, found))


@router.post("/runs/{run_id}/{step}", dependencies=[require_role("admin")])
def steer(
    session: DbSession, project: CurrentProject, person: CurrentPerson, run_id: RunId, step: service.Step
) -> RedirectResponse:
    service.steer(session, project.id, run_id, step, person.id)
    return RedirectResponse(f"/runs/{run_id}", 303)


def _progress(session: Session, run: Run) -> dict[str, Any]:
    return {
        "run": run,
        "progress": progress_of(session, run),
        "is_open": run.state in UNFINISHED_RUNS,
        "silent_queues": _silent_queues(session),
    }


def _details(session: Session, run: Run) -> dict[str, Any]:
    shown = (Outcome.UNUSABLE, Outcome.ERROR, Outcome.INVALID_VERDICT) if run.kind == RunKind.GENERATE else ()
    return {
        "starter": queries.starters(session, [run]).get(run.person_id or 0),
        "exhibits": {outcome.value: queries.exhibits(session, run.id, outcome) for outcome in shown},
        "waiting": queries.waiting_exhibits(session, run.id),
        "rejections": queries.rejections(session, run.id),
        "lost_calls": queries.lost_calls(session, run.id),
    }


def _silent_queues(session: Session) -> list[str]:
    return sorted(set(QUEUES.values()) - queues_alive(session))

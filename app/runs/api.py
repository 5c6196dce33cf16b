"""Runs over REST."""

from typing import Annotated

from fastapi import Depends, Path, Request
from fastapi.responses import StreamingResponse

from app.accounts.roles import seen_projects
from app.engine.runs import progress_of
from app.runs import events, queries, service
from app.runs.shapes import RunShape
from app.web.dependencies import AdminProject, ApiCaller, DbSession, ReadProject
from app.web.idempotency import api_router
from app.web.pagination import AskedWindow, Page, cut

router = api_router(tags=["runs"])

RunId = Annotated[int, Path(alias="run_id", ge=1, le=2**63 - 1)]


@router.get("/projects/{project}/runs")
def runs(session: DbSession, project: ReadProject, asked: AskedWindow) -> Page[RunShape]:
    """Every kind of long work, the newest first."""
    rows, following = cut(
        queries.runs_of(session, project.id, asked.after, asked.limit + 1), asked, lambda run: run.id
    )
    return Page(items=[service.shape_of(run, progress_of(session, run)) for run in rows], next=following)


@router.get("/projects/{project}/runs/{run_id}")
def run(session: DbSession, project: ReadProject, run_id: RunId) -> RunShape:
    """One run, with counts that conserve: total = sum(done) + pending."""
    return service.shape_of(*service.seen(session, queries.run_of(session, project.id, run_id)))


@router.post("/projects/{project}/runs/{run_id}/{step}")
def steer(
    session: DbSession,
    project: AdminProject,
    caller: ApiCaller,
    run_id: RunId,
    step: service.Step,
) -> RunShape:
    """Pause, resume or cancel. 409 where the run's state does not allow it."""
    return service.shape_of(*service.steer(session, project.id, run_id, step, caller.person.id))


def _visible(session: DbSession, caller: ApiCaller) -> frozenset[int]:
    return frozenset(one.project.id for one in seen_projects(session, caller))


@router.get("/events", response_class=StreamingResponse)
async def run_events(
    request: Request, project_ids: Annotated[frozenset[int], Depends(_visible)]
) -> StreamingResponse:
    """Server-sent events: a `run` event with the run's object whenever one of your runs moves."""
    return StreamingResponse(
        events.stream(project_ids, request.is_disconnected),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )

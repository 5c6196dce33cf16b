"""Runs over REST."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request
from fastapi.responses import StreamingResponse

from app.accounts.roles import seen_projects
from app.engine.goals import lanes_of
from app.engine.runs import progress_of
from app.pipeline import Outcome
from app.runs import events, queries, service
from app.runs.shapes import (
    BudgetRequest,
    CostsShape,
    EventShape,
    ItemShape,
    LaneShape,
    PriorityRequest,
    RereadShape,
    RetryRequest,
    RunShape,
    SpendShape,
    WrittenOff,
)
from app.web.admission import streams
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
    return Page(items=[service.shape_of(*service.seen(session, run)) for run in rows], next=following)


@router.get("/projects/{project}/runs/{run_id}")
def run(session: DbSession, project: ReadProject, run_id: RunId) -> RunShape:
    """One run, with counts that conserve: total = sum(done) + pending."""
    return service.shape_of(*service.seen(session, queries.run_of(session, project.id, run_id)))


@router.get("/projects/{project}/runs/{run_id}/costs")
def costs(session: DbSession, project: ReadProject, run_id: RunId) -> CostsShape:
    """What the run's calls came to, by stage and model, and what one good instance costs."""
    run = queries.run_of(session, project.id, run_id)
    found = service.costs(session, run, progress_of(session, run))
    return CostsShape(
        spend=[
            SpendShape(
                stage=tally.stage,
                model=tally.model,
                state=tally.state,
                calls=tally.calls,
                prompt_tokens=tally.prompt_tokens,
                completion_tokens=tally.completion_tokens,
                cost_usd=tally.cost_micro / 1e6,
            )
            for tally in found.spend
        ],
        cost_usd=run.cost_micro / 1e6,
        reserved_usd=run.reserved_micro / 1e6,
        per_passed_usd=None if found.per_passed is None else found.per_passed / 1e6,
        accepted=found.accepted,
        per_accepted_usd=None if found.per_accepted is None else found.per_accepted / 1e6,
        lanes=[LaneShape(**lane._asdict()) for lane in lanes_of(session, run.id)],
    )


@router.get("/projects/{project}/runs/{run_id}/events")
def run_log(session: DbSession, project: ReadProject, run_id: RunId, asked: AskedWindow) -> Page[EventShape]:
    """What was decided about the run, by people and by the engine itself, the newest first."""
    queries.run_of(session, project.id, run_id)
    rows, following = cut(
        queries.events(session, run_id, asked.after, asked.limit + 1), asked, lambda row: row[0].id
    )
    return Page(
        items=[
            EventShape(id=event.id, at=event.at, by=name, event=event.event, detail=event.detail)
            for event, name in rows
        ],
        next=following,
    )


@router.get("/projects/{project}/runs/{run_id}/items")
def items(
    session: DbSession,
    project: ReadProject,
    run_id: RunId,
    asked: AskedWindow,
    outcome: Annotated[
        Outcome | None, Query(description="Without it, what waits for another try after something went wrong")
    ] = None,
) -> Page[ItemShape]:
    """Items that ended with an outcome, each with the raw reply of its last call, by id."""
    queries.run_of(session, project.id, run_id)
    rows, following = cut(
        service.exhibits(session, run_id, outcome, asked.after, asked.limit + 1),
        asked,
        lambda one: one.item.id,
    )
    return Page(items=[service.item_shape(one) for one in rows], next=following)


@router.post("/projects/{project}/runs/{run_id}/budget")
def change_budget(
    session: DbSession, project: AdminProject, caller: ApiCaller, run_id: RunId, asked: BudgetRequest
) -> RunShape:
    """Change or lift the cap of an unfinished generation. 409 below what is spent and promised already."""
    found = service.change_budget(session, project.id, run_id, asked.budget_usd, caller.person.id)
    return service.shape_of(*found)


@router.post("/projects/{project}/runs/{run_id}/priority")
def change_priority(
    session: DbSession, project: AdminProject, caller: ApiCaller, run_id: RunId, asked: PriorityRequest
) -> RunShape:
    """Change an unfinished generation's share of the calls in flight."""
    found = service.change_priority(session, project.id, run_id, asked.priority, caller.person.id)
    return service.shape_of(*found)


@router.post("/projects/{project}/runs/{run_id}/retry")
def retry(
    session: DbSession, project: AdminProject, caller: ApiCaller, run_id: RunId, asked: RetryRequest
) -> RunShape:
    """Do again what ended with an outcome, by reading its last reply again or by asking anew. The run goes on."""
    found = service.retry(session, project.id, run_id, asked.outcome, asked.how, caller.person.id)
    return service.shape_of(*found)


Cursor = Annotated[int, Query(ge=0, le=2**63 - 1, description="`next` of the answer before")]


@router.get("/projects/{project}/runs/{run_id}/reparse")
def look_again(
    request: Request, session: DbSession, project: AdminProject, run_id: RunId, cursor: Cursor = 0
) -> RereadShape:
    """What would change if the stored replies of an ended generation were read again, by the parsers of now.

    Nothing is changed and no model is asked. At most 5,000 instances at once, which take about three seconds; `next` goes on.
    """
    found = service.look_again(session, project.id, run_id, request.app.state.rereaders, cursor)
    return service.reread_shape(found)


@router.post("/projects/{project}/runs/{run_id}/reparse")
def reparse(
    request: Request,
    session: DbSession,
    project: AdminProject,
    caller: ApiCaller,
    run_id: RunId,
    cursor: Cursor = 0,
) -> RereadShape:
    """Read the stored replies of an ended generation again. No model is asked: what becomes usable waits for its
    verdict, where a model gives that, in a paused run that somebody resumes."""
    found, seen = service.reparse(
        session, project.id, run_id, request.app.state.rereaders, cursor, caller.person.id
    )
    return service.reread_shape(found, seen)


@router.post("/projects/{project}/runs/{run_id}/write-off")
def write_off(session: DbSession, project: AdminProject, caller: ApiCaller, run_id: RunId) -> WrittenOff:
    """Give back what is reserved for calls that may have been billed, once somebody has looked."""
    calls, found = service.write_off_calls(session, project.id, run_id, caller.person.id)
    return WrittenOff(calls=calls, run=service.shape_of(*found))


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


@router.get("/events", response_class=StreamingResponse, dependencies=[streams])
async def run_events(
    request: Request, project_ids: Annotated[frozenset[int], Depends(_visible)]
) -> StreamingResponse:
    """Server-sent events: a `run` event with the run's object whenever one of your runs moves."""
    return StreamingResponse(
        events.stream(project_ids, request.is_disconnected),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )

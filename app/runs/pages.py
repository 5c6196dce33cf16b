"""The pages of long work."""

from typing import Annotated, Any, Literal

from fastapi import Form, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.orm import Session

from app.engine.goals import lanes_of
from app.engine.rereading import MOST_AT_ONCE
from app.engine.retry import RETRYABLE
from app.engine.sweep import queues_alive
from app.errors import InvalidInput
from app.llm.limiter import gates
from app.pipeline import OFFLINE, UNFINISHED_RUNS, Outcome, RunKind
from app.queue import QUEUES
from app.runs import queries, service
from app.storage.tables import Run
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role
from app.web.flash import see_other
from app.web.pagination import AskedWindow, cut
from app.web.retry import page_router
from app.web.templating import is_htmx, render

router = page_router()

_EVENTS_SHOWN = 20
_EXHIBITS_SHOWN = 10  # of each outcome on the page of the run; the others have a page of their own

RunId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/runs")
def runs(request: Request, session: DbSession, project: CurrentProject, asked: AskedWindow) -> HTMLResponse:
    rows, following = cut(
        queries.runs_of(session, project.id, asked.after, asked.limit + 1), asked, lambda run: run.id
    )
    return render(
        request,
        "runs/page.html",
        runs=[service.seen(session, run) for run in rows],
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


@router.get("/runs/{run_id}/items")
def items(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    run_id: RunId,
    asked: AskedWindow,
    outcome: Outcome | None = None,
) -> HTMLResponse:
    """Everything that ended with one outcome, or waits for another try, with the raw replies."""
    found = queries.run_of(session, project.id, run_id)
    exhibits, following = cut(
        service.exhibits(session, run_id, outcome, asked.after, asked.limit + 1),
        asked,
        lambda one: one.item.id,
    )
    return render(
        request, "runs/items.html", run=found, outcome=outcome, exhibits=exhibits, next_cursor=following
    )


@router.post("/runs/{run_id}/budget", dependencies=[require_role("admin")])
def change_budget(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    run_id: RunId,
    budget_usd: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    try:
        usd = float(budget_usd) if budget_usd.strip() else None
    except ValueError:
        raise InvalidInput(f"“{budget_usd}” is not a number of dollars", "budget_usd") from None
    service.change_budget(session, project.id, run_id, usd, person.id)
    return see_other(f"/runs/{run_id}", "The budget is changed.")


@router.post("/runs/{run_id}/priority", dependencies=[require_role("admin")])
def change_priority(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    run_id: RunId,
    priority: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    service.change_priority(session, project.id, run_id, priority, person.id)
    return see_other(f"/runs/{run_id}", "The priority is changed.")


@router.post("/runs/{run_id}/retry", dependencies=[require_role("admin")])
def retry(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    run_id: RunId,
    outcome: Annotated[str, Form(max_length=40)],
    how: Annotated[Literal["reparse", "ask"], Form()],
) -> Response:
    service.retry(session, project.id, run_id, outcome, how, person.id)
    return see_other(f"/runs/{run_id}", "They are in the queue again.")


Cursor = Annotated[int, Query(ge=0, le=2**63 - 1)]


@router.get("/runs/{run_id}/reparse", dependencies=[require_role("admin")])
def look_again(
    request: Request, session: DbSession, project: CurrentProject, run_id: RunId, cursor: Cursor = 0
) -> HTMLResponse:
    """What reading the stored replies again would change, before it does."""
    run = queries.run_of(session, project.id, run_id)
    found = service.look_again(session, project.id, run_id, request.app.state.rereaders, cursor)
    return render(request, "runs/reparse.html", run=run, found=found, cursor=cursor, most=MOST_AT_ONCE)


@router.post("/runs/{run_id}/reparse", dependencies=[require_role("admin")])
def reparse(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    run_id: RunId,
    cursor: Annotated[int, Form(ge=0, le=2**63 - 1)] = 0,
) -> Response:
    found, _ = service.reparse(session, project.id, run_id, request.app.state.rereaders, cursor, person.id)
    if found.following is not None:
        return see_other(
            f"/runs/{run_id}/reparse?cursor={found.following}", f"{found.again:,} are in the queue again."
        )
    words = f"{found.again:,} are in the queue again." if found.again else "Everything reads as before."
    return see_other(f"/runs/{run_id}", words)


@router.post("/runs/{run_id}/write-off", dependencies=[require_role("admin")])
def write_off(session: DbSession, project: CurrentProject, person: CurrentPerson, run_id: RunId) -> Response:
    calls, _ = service.write_off_calls(session, project.id, run_id, person.id)
    words = "call is" if calls == 1 else "calls are"
    return see_other(f"/runs/{run_id}", f"{calls} {words} written off.")


@router.post("/runs/{run_id}/{step}", dependencies=[require_role("admin")])
def steer(
    session: DbSession, project: CurrentProject, person: CurrentPerson, run_id: RunId, step: service.Step
) -> RedirectResponse:
    service.steer(session, project.id, run_id, step, person.id)
    return RedirectResponse(f"/runs/{run_id}", 303)


def _progress(session: Session, run: Run) -> dict[str, Any]:
    _, progress, standing = service.seen(session, run)
    is_open = run.state in UNFINISHED_RUNS
    context: dict[str, Any] = {
        "run": run,
        "progress": progress,
        "standing": standing,
        "is_open": is_open,
        "silent_queues": _silent_queues(session),
    }
    if run.kind != RunKind.GENERATE:
        return context
    models = sorted({run.params["generator"], run.params["discriminator"]} - {OFFLINE})
    return context | {
        "calls_a_minute": queries.calls_a_minute(session, run.id) if is_open else 0,
        "gates": gates(models) if is_open else {},
        "costs": service.costs(session, run, progress),
        "lanes": lanes_of(session, run.id),
        "events": queries.events(session, run.id, None, _EVENTS_SHOWN),
        "unwritten": queries.unwritten_calls(session, run.id),
    }


def _details(session: Session, run: Run) -> dict[str, Any]:
    is_generation = run.kind == RunKind.GENERATE
    return {
        "starter": queries.starters(session, [run]).get(run.person_id or 0),
        "exhibits": {
            outcome.value: queries.exhibits(session, run.id, outcome, _EXHIBITS_SHOWN)
            for outcome in (RETRYABLE if is_generation else ())
        },
        "waiting": queries.waiting_exhibits(session, run.id, _EXHIBITS_SHOWN),
        "rejections": queries.rejections(session, run.id),
        "lost_calls": queries.lost_calls(session, run.id),
    }


def _silent_queues(session: Session) -> list[str]:
    return sorted(set(QUEUES.values()) - queues_alive(session))

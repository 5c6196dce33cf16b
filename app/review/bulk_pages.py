"""Acting on everything that matches the filter of the list. Touches the browser; every form works without JavaScript."""

from typing import Annotated, Any

from fastapi import Form, Query, Request, Response
from fastapi.responses import HTMLResponse

from app.errors import Conflict, InvalidInput
from app.pipeline import Move
from app.review import bulk, bulk_queries
from app.review.desk import AskedDesk, Desk, Number, query_of
from app.review.filters import Filters
from app.review.judgement import PAST
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role
from app.web.errors import refusal_of
from app.web.flash import see_other
from app.web.forms import typed
from app.web.pagination import AskedWindow, cut
from app.web.retry import page_router
from app.web.templating import render

router = page_router()
admins = [require_role("admin")]

MOVES = {
    Move.ACCEPT: "Accept",
    Move.REJECT: "Reject",
    Move.WITHDRAW: "Withdraw",
    Move.RESTORE: "Restore to waiting",
}


@router.get("/instances/bulk", dependencies=admins)
def past(request: Request, session: DbSession, project: CurrentProject, asked: AskedWindow) -> HTMLResponse:
    found = bulk_queries.past_actions(session, project.id, asked.after, asked.limit + 1)
    actions, following = cut(found, asked, lambda one: one.row.id)
    return render(
        request,
        "review/bulk_past.html",
        actions=actions,
        past=PAST,
        next_href=f"/instances/bulk?cursor={following}" if following else None,
        first_href="/instances/bulk" if asked.after else None,
    )


@router.get("/instances/bulk/new", dependencies=admins)
def new(desk: AskedDesk, move: Annotated[Move | None, Query()] = None) -> HTMLResponse:
    """What is to be done with all that match; with a move, what that would change."""
    return _show(desk, move)


@router.post("/instances/bulk/new", dependencies=admins)
def act(
    desk: AskedDesk,
    move: Annotated[Move, Form()],
    rows: Annotated[int, Form(ge=0, le=2**63 - 1)],
    newest: Annotated[int, Form(ge=0, le=2**63 - 1)],
    reason: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> Response:
    note = typed(note)
    asked = bulk.Asked(move, reason or None, note, rows, newest)
    try:
        action = bulk.act(desk.session, desk.person, desk.project, desk.filters, asked)
    except (Conflict, InvalidInput) as error:
        return _show(desk, move, status=refusal_of(error).status, error=error, reason=reason, note=note)
    return see_other(f"/instances/bulk/{action.id}", f"{action.count:,} instances {PAST[move]}")


@router.get("/instances/bulk/{bulk_action_id}", dependencies=admins)
def done(
    request: Request, session: DbSession, project: CurrentProject, bulk_action_id: Number
) -> HTMLResponse:
    found = bulk_queries.past_action(session, project.id, bulk_action_id)
    return render(
        request,
        "review/bulk_done.html",
        action=found.row,
        by=found.by,
        past=PAST,
        query=query_of(Filters(**found.row.filters)),
    )


@router.post("/instances/bulk/{bulk_action_id}/undo", dependencies=admins)
def undo(
    session: DbSession, project: CurrentProject, person: CurrentPerson, bulk_action_id: Number
) -> Response:
    action = bulk.undo(session, person, project, bulk_action_id)
    taken_back = action.taken_back or 0
    kept = action.count - taken_back
    message = f"{taken_back:,} decisions taken back"
    if kept:
        message += f"; {kept:,} not: somebody has decided on those instances since, or is reading them"
    return see_other(f"/instances/bulk/{action.id}", message, "warn" if kept else "ok")


def _show(
    desk: Desk,
    move: Move | None,
    *,
    status: int = 200,
    error: Conflict | InvalidInput | None = None,
    **entered: Any,
) -> HTMLResponse:
    """`entered`: the reason and the note of a form that was refused."""
    preview = None
    if move is not None:
        preview = bulk_queries.preview(desk.session, desk.project.id, desk.person.id, move, desk.filters)
    field = error.field if isinstance(error, InvalidInput) else None
    return render(
        desk.request,
        "review/bulk_new.html",
        status=status,
        **({"reason": "", "note": ""} | entered),
        move=move,
        moves=MOVES,
        preview=preview,
        most=bulk.MOST_AT_ONCE,
        error=None if field in ("reason", "note") else error,
        errors={field: str(error)} if field else {},
        filters=desk.filters,
        query=query_of(desk.filters),
        reasons=desk.project.reasons,
    )

"""Assigning what matches the filter of the list to one reader. Touches the browser; works without JavaScript."""

from typing import Annotated

from fastapi import Form, Response
from fastapi.responses import HTMLResponse

from app.errors import InvalidInput
from app.review import assign
from app.review.bulk import MOST_AT_ONCE
from app.review.desk import AskedDesk, Desk, query_of
from app.web.dependencies import require_role
from app.web.flash import see_other
from app.web.retry import page_router
from app.web.templating import render

router = page_router()
admins = [require_role("admin")]

PersonNumber = Annotated[int, Form(ge=0, le=2**63 - 1)]


@router.get("/instances/assign", dependencies=admins)
def choose(desk: AskedDesk) -> HTMLResponse:
    return _show(desk)


@router.post("/instances/assign", dependencies=admins)
def give(desk: AskedDesk, reader: PersonNumber) -> Response:
    try:
        given = assign.assign(desk.session, desk.person, desk.project, desk.filters, reader)
    except InvalidInput as error:
        return _show(desk, error)
    message = f"{given.rows:,} instances {'assigned' if reader else 'are for everybody'}"
    if given.left_out:
        message += f"; {given.left_out:,} not: somebody is reading them, or this reader has answered them"
    return see_other(
        f"/instances/assign{query_of(desk.filters)}", message, "warn" if given.left_out else "ok"
    )


@router.post("/instances/assign/free", dependencies=admins)
def free(desk: AskedDesk, reader: PersonNumber) -> Response:
    freed = assign.free(desk.session, desk.person, desk.project, reader)
    return see_other(f"/instances/assign{query_of(desk.filters)}", f"{freed:,} instances are for everybody")


def _show(desk: Desk, error: InvalidInput | None = None) -> HTMLResponse:
    return render(
        desk.request,
        "review/assign.html",
        status=422 if error else 200,
        error=error,
        readers=assign.readers(desk.session, desk.project.id),
        assigned=assign.assigned(desk.session, desk.project.id),
        waiting=assign.count_waiting(desk.session, desk.project.id, desk.filters),
        most=MOST_AT_ONCE,
        filters=desk.filters,
        query=query_of(desk.filters),
    )

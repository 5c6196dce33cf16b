"""The example bank: looked through, a case pinned or retired. Touches the browser; every form works without JavaScript."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Form, Path, Request, Response
from fastapi.responses import HTMLResponse

from app.examples import queries, service
from app.examples.asking import CHOICES, AskedFilters
from app.pipeline import Standing, Task
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role
from app.web.flash import see_other
from app.web.pagination import AskedWindow, cut
from app.web.retry import page_router
from app.web.templating import render

router = page_router()

Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/examples")
def examples_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    filters: AskedFilters,
    asked: AskedWindow,
) -> HTMLResponse:
    rows, following = cut(
        queries.listed(session, project.id, person.id, filters, before=asked.after, limit=asked.limit + 1),
        asked,
        lambda row: row.case.id,
    )
    query = urlencode({name: value for name, value in filters._asdict().items() if value})
    return render(
        request,
        "examples/page.html",
        rows=rows,
        filters=filters,
        choices=CHOICES,
        kinds=queries.kinds(session, project.id),
        is_first=asked.after is None,
        first_href=f"/examples?{query}",
        next_href=f"/examples?{query}&cursor={following}" if following else None,
    )


@router.get("/examples/{exemplar_id}")
def example_page(
    request: Request, session: DbSession, project: CurrentProject, person: CurrentPerson, exemplar_id: Number
) -> HTMLResponse:
    found = queries.one(session, project.id, person.id, exemplar_id)
    return render(
        request,
        "examples/example.html",
        one=found,
        shown=queries.shown(session, project.id, exemplar_id),
        solution_language=None if found.case.task == Task.SUMMARIZATION else found.case.language,
    )


@router.post("/examples/{exemplar_id}/standing", dependencies=[require_role("admin")])
def set_standing(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    exemplar_id: Number,
    standing: Annotated[Standing, Form()],
    note: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    service.set_standing(session, project, person, exemplar_id, standing, note)
    words = {
        Standing.PINNED: "is pinned: the next runs may always draw it",
        Standing.RETIRED: "is retired: the next runs never draw it",
        Standing.USUAL: "is left to the draw again",
    }
    return see_other(f"/examples/{exemplar_id}", f"Example {exemplar_id} {words[standing]}.")

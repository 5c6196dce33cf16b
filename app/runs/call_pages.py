"""What a stored call asked, to read. Touches the browser."""

from typing import Annotated

from fastapi import Path, Request
from fastapi.responses import HTMLResponse

from app.errors import Conflict, NotFound
from app.pipeline import Stage
from app.runs import queries
from app.runs.rendering import Asked, asked_by, run_of_call
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession
from app.web.retry import page_router
from app.web.templating import render

router = page_router()


@router.get("/calls/{call_id}")
def call_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    call_id: Annotated[int, Path(ge=1, le=2**63 - 1)],
) -> HTMLResponse:
    """Its messages, rendered again, and whether they are those that were sent."""
    call, run = run_of_call(session, call_id)
    if run.project_id != project.id:
        raise NotFound(f"there is no call {call_id} in this project")
    asked: Asked | None = None
    why_not = ""
    try:
        asked = asked_by(session, request.app.state.renderers, call, person.id)
    except Conflict as error:
        why_not = str(error)
    return render(
        request,
        "runs/call.html",
        call=call,
        run=run,
        asked=asked,
        why_not=why_not,
        template_name=queries.template_name(session, call.template_hash),
        is_about_instance=call.stage != Stage.TRY_PROMPT,
    )

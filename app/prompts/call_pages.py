"""What a stored call asked, to read. Touches the browser."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from app.errors import NotFound
from app.pipeline import Stage
from app.prompts import queries
from app.prompts.asking import GivenRenderings
from app.prompts.calls import asked_by, messages_of
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession
from app.web.templating import render

router = APIRouter()


@router.get("/calls/{call_id}")
def call_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    renderings: GivenRenderings,
    call_id: Annotated[int, Path(ge=1, le=2**63 - 1)],
) -> HTMLResponse:
    """Its messages, rendered again, and whether they are those that were sent."""
    call, run = queries.call_of(session, call_id)
    if run.project_id != project.id:
        raise NotFound(f"there is no call {call_id} in this project")
    asked = asked_by(session, renderings, call, person.id)
    return render(
        request,
        "prompts/call.html",
        call=call,
        run=run,
        asked=asked,
        messages=messages_of(asked),
        template_name=queries.template_name(session, call.template_hash),
        is_about_instance=call.stage != Stage.TRY_PROMPT,
    )

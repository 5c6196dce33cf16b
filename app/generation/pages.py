"""The form that starts a run. Prompts have pages of their own."""

from typing import Annotated, Any

from fastapi import Form, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from app.errors import Conflict, InvalidInput
from app.generation import offline, queries, service
from app.generation.forms import USUAL_COUNT, USUAL_SHARES, GenerationForm, asked
from app.generation.tasks import BRIEFS
from app.pipeline import OFFLINE, Task
from app.settings import settings
from app.storage.tables import Project
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role
from app.web.flash import see_other
from app.web.retry import page_router
from app.web.templating import is_htmx, render

router = page_router()


@router.get("/generations/new", dependencies=[require_role("admin")])
def new_generation(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    form: Annotated[GenerationForm, Query()],
) -> HTMLResponse:
    """The form with what a run like this would cost; asked again whenever a field changes."""
    template = "generation/_form.html" if is_htmx(request) else "generation/new.html"
    if (
        "count" not in request.query_params
    ):  # the form itself was not sent: a link may still fill in some of it
        form = _suggested().model_copy(update=form.model_dump(exclude_unset=True))
    return render(request, template, **_form_context(session, project, form))


@router.post("/generations", dependencies=[require_role("admin")])
def start_generation(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    form: Annotated[GenerationForm, Form()],
) -> Response:
    try:
        run = service.start_generation(session, project, asked(form), person)
    except (InvalidInput, Conflict):
        context = _form_context(session, project, form)
        return render(request, "generation/new.html", status=422, **context)
    return see_other(f"/runs/{run.id}")


def _suggested() -> GenerationForm:
    """The configured models; a budget where a run costs something."""
    configured = settings()
    is_paid = {configured.generator_model, configured.discriminator_model} != {OFFLINE}
    suggested = GenerationForm(
        count=USUAL_COUNT,
        seed="0",
        generator=configured.generator_model,
        discriminator=configured.discriminator_model,
        budget_usd=f"{service.SUGGESTED_BUDGET_USD:g}" if is_paid else "",
    )
    return suggested.model_copy(update=USUAL_SHARES)


def _form_context(session: Session, project: Project, form: GenerationForm) -> dict[str, Any]:
    """The form, its errors, and where it has none how many of each task and the estimate."""
    errors: dict[str, str] = {}
    counts: dict[Task, int] = {}
    estimate = goal = None
    try:
        order = service.check_order(session, project, asked(form))
        counts, goal, estimate = order.counts, order.goal, service.estimate(session, order)
    except InvalidInput as error:
        errors[error.field or ""] = str(error)
    except Conflict as error:
        errors["selection_id"] = str(error)
    return {
        "form": form,
        "errors": errors,
        "counts": counts,
        "estimate": estimate,
        "goal": goal,
        "tasks": list(Task),
        "briefs": BRIEFS,
        "closed": [] if form.generator != OFFLINE else [task for task in Task if task not in offline.TASKS],
        "selections": queries.completed_selections(session, project.id),
        "has_model": settings().has_model,
        "offline": OFFLINE,
    }

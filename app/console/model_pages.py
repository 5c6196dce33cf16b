"""Settings > Models: the provider, prices and limits. Reaches the world as `pages` does."""

from typing import Annotated

from fastapi import Form, Request, Response
from sqlalchemy.orm import Session

from app.console import models
from app.errors import InvalidInput
from app.llm.limiter import gates
from app.pipeline import OFFLINE, Role
from app.settings import settings
from app.web.dependencies import CurrentPerson, DbSession, MaybeProject, require_role_everywhere
from app.web.flash import see_other
from app.web.retry import page_router
from app.web.templating import render

router = page_router(prefix="/settings/models", dependencies=[require_role_everywhere(Role.ADMIN)])

Text = Annotated[str, Form()]


@router.get("")
def models_page(request: Request, session: DbSession, seen: MaybeProject) -> Response:
    return _page(request, session)


def _page(request: Request, session: Session, status: int = 200, **context: object) -> Response:
    configured = settings()
    known = {configured.generator_model, configured.discriminator_model} - {OFFLINE}
    limits = models.limits(session)
    shown = {
        "settings": configured,
        "prices": models.prices(session),
        "limits": limits,
        "gates": gates(sorted(known | {limit.model for limit in limits})),
        "form": {},
        "errors": {},
    }
    return render(request, "console/models.html", status=status, **(shown | context))


@router.post("/prices")
def set_price(
    request: Request,
    session: DbSession,
    person: CurrentPerson,
    seen: MaybeProject,
    model: Text = "",
    input_usd: Text = "",
    output_usd: Text = "",
) -> Response:
    try:
        models.set_price(session, person.id, model, input_usd, output_usd)
    except InvalidInput as error:
        form = {"model": model, "input_usd": input_usd, "output_usd": output_usd}
        return _page(request, session, 422, form=form, errors={error.field: str(error)})
    return see_other("/settings/models", f"The price of {model.strip()} is set.")


@router.post("/prices/remove")
def forget_price(session: DbSession, person: CurrentPerson, model: Text = "") -> Response:
    models.forget_price(session, person.id, model)
    return see_other("/settings/models", f"There is no price for {model} any more.")


@router.post("/limits")
def set_limit(
    request: Request,
    session: DbSession,
    person: CurrentPerson,
    seen: MaybeProject,
    limited_model: Text = "",
    requests_per_minute: Text = "",
    tokens_per_minute: Text = "",
) -> Response:
    try:
        models.set_limit(session, person.id, limited_model, requests_per_minute, tokens_per_minute)
    except InvalidInput as error:
        form = {
            "limited_model": limited_model,
            "requests_per_minute": requests_per_minute,
            "tokens_per_minute": tokens_per_minute,
        }
        field = "limited_model" if error.field == "model" else error.field
        return _page(request, session, 422, form=form, errors={field: str(error)})
    return see_other("/settings/models", f"The limits of {limited_model.strip()} are set.")


@router.post("/limits/remove")
def forget_limit(session: DbSession, person: CurrentPerson, model: Text = "") -> Response:
    models.forget_limit(session, person.id, model)
    return see_other("/settings/models", f"There is no limit for {model} any more.")

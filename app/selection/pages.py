"""The pages of selections: what was picked, and how well the picks cover the project."""

from typing import Annotated, Any

from fastapi import Form, Path, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from app.engine.runs import progress_of
from app.errors import Conflict, InvalidInput
from app.pipeline import UNFINISHED_RUNS
from app.selection import chart, queries, service
from app.selection.service import Wanted
from app.storage.tables import Project
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role
from app.web.flash import see_other
from app.web.pagination import AskedWindow, Window, cut
from app.web.retry import page_router
from app.web.templating import is_htmx, render

router = page_router()

SelectionId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Typed = Annotated[str, Form(max_length=20)]
_LEAST_SUGGESTED = 200


@router.get("/selections")
def selections(
    request: Request, session: DbSession, project: CurrentProject, asked: AskedWindow
) -> HTMLResponse:
    return render(request, "selection/page.html", **_selections(session, project, asked), errors={})


@router.post("/selections", dependencies=[require_role("admin")])
def start_selection(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    k: Typed = "",
    seed: Typed = "",
    languages: Annotated[list[str] | None, Form(max_length=20)] = None,
) -> Response:
    ticked = languages or []
    try:
        wanted = Wanted(_whole(k, "k"), _whole(seed, "seed"), _unless_all(session, project, ticked))
        run = service.start_selection(session, project, wanted, person)
    except (InvalidInput, Conflict) as error:
        context = _selections(session, project, Window(None, 50))
        context["form"] = {"k": k, "seed": seed, "languages": ticked}
        field = error.field if isinstance(error, InvalidInput) else "languages"
        return render(request, "selection/page.html", status=422, **context, errors={field: str(error)})
    return see_other(f"/selections/{queries.selection_of_run(session, run.id).id}")


@router.get("/selections/{selection_id}")
def selection(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    selection_id: SelectionId,
    asked: AskedWindow,
) -> HTMLResponse:
    """The page, or only its moving part for htmx."""
    chosen, run, picks = queries.selection_of_project(session, project.id, selection_id)
    found, following = cut(
        queries.picks_of(session, chosen.id, asked.after or 0, asked.limit + 1),
        asked,
        lambda picked: picked.pick.rank,
    )
    coverage = chosen.coverage or {"curve": [], "shares": []}
    here = f"/selections/{chosen.id}"
    return render(
        request,
        "selection/_selection.html" if is_htmx(request) else "selection/selection.html",
        selection=chosen,
        run=run,
        is_open=run.state in UNFINISHED_RUNS,
        done=progress_of(session, run).done,
        picks=picks,
        first_picks=found,
        curve=coverage["curve"],
        shares=coverage["shares"],
        charts=chart.charts(coverage["curve"]),
        plot=chart,
        first_href=here if asked.after else None,
        next_href=f"{here}?cursor={following}#picks" if following else None,
    )


def suggested_k(snippets: int) -> int:
    """A tenth of the snippets, but enough to work with: 200, or all where there are fewer."""
    tenth = snippets // 10
    return min(snippets, max(_LEAST_SUGGESTED, tenth - tenth % 100))


def _selections(session: Session, project: Project, asked: Window) -> dict[str, Any]:
    found, following = cut(
        queries.selections_of(session, project.id, asked.after, asked.limit + 1),
        asked,
        lambda one: one.selection.id,
    )
    by_language = queries.languages_of(session, project.id)
    snippets = sum(by_language.values())
    return {
        "selections": found,
        "by_language": by_language,
        "snippets": snippets,
        "form": {"k": suggested_k(snippets), "seed": 0, "languages": list(by_language)},
        "next_href": f"/selections?cursor={following}" if following else None,
        "first_href": "/selections" if asked.after else None,
    }


def _whole(typed: str, field: str) -> int:
    try:
        return int(typed.replace(",", ""))
    except ValueError:
        raise InvalidInput(f"{field} must be a whole number", field) from None


def _unless_all(session: Session, project: Project, ticked: list[str]) -> list[str] | None:
    """The languages ticked; None, which is all, where every one is."""
    return None if set(ticked) == set(queries.languages_of(session, project.id)) else ticked

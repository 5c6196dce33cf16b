"""Selections and their picks over REST."""

from typing import Annotated

from fastapi import Body, Path, Response

from app.selection import queries, service
from app.selection.queries import ListedSelection, PickedSnippet
from app.selection.service import Wanted
from app.selection.shapes import (
    PickAnswer,
    SelectionAnswer,
    SelectionRequest,
    SelectionWithCoverage,
    StartedSelection,
)
from app.web.dependencies import AdminProject, ApiCaller, DbSession, ReadProject
from app.web.idempotency import api_router
from app.web.pagination import AskedWindow, Page, cut

router = api_router(tags=["selections"])

SelectionId = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[4])]


@router.post("/projects/{project}/selections", status_code=202)
def start_selection(
    session: DbSession,
    project: AdminProject,
    caller: ApiCaller,
    asked: Annotated[SelectionRequest, Body()],
    response: Response,
) -> StartedSelection:
    """Pick a core set by k-center. A worker does it; `Location` is the run."""
    run = service.start_selection(session, project, Wanted(**dict(asked)), caller.person)
    response.headers["Location"] = f"/api/v1/projects/{project.slug}/runs/{run.id}"
    return StartedSelection(
        id=run.id,
        kind=run.kind,
        state=run.state,
        total=run.total,
        params=run.params,
        selection_id=queries.selection_of_run(session, run.id).id,
    )


@router.get("/projects/{project}/selections")
def selections(session: DbSession, project: ReadProject, asked: AskedWindow) -> Page[SelectionAnswer]:
    """Every selection, the newest first."""
    found, following = cut(
        queries.selections_of(session, project.id, asked.after, asked.limit + 1),
        asked,
        lambda one: one.selection.id,
    )
    return Page(items=[SelectionAnswer.model_validate(_fields(one)) for one in found], next=following)


@router.get("/projects/{project}/selections/{selection_id}")
def selection(session: DbSession, project: ReadProject, selection_id: SelectionId) -> SelectionWithCoverage:
    """One selection and how well its picks cover the project."""
    found = queries.selection_of_project(session, project.id, selection_id)
    return SelectionWithCoverage.model_validate(
        _fields(found) | {"coverage": found.selection.coverage or None}
    )


@router.get("/projects/{project}/selections/{selection_id}/picks")
def picks(
    session: DbSession, project: ReadProject, selection_id: SelectionId, asked: AskedWindow
) -> Page[PickAnswer]:
    """The picks in the order of their choice: the first n are the n picks of a smaller `k`."""
    chosen = queries.selection_of_project(session, project.id, selection_id).selection
    found, following = cut(
        queries.picks_of(session, chosen.id, asked.after or 0, asked.limit + 1),
        asked,
        lambda picked: picked.pick.rank,
    )
    return Page(items=[_pick(one) for one in found], next=following)


def _fields(listed: ListedSelection) -> dict[str, object]:
    selection, run, picks = listed
    return {
        "id": selection.id,
        "run_id": run.id,
        "state": run.state,
        "reason": run.reason,
        "created_at": selection.created_at,
        "k": selection.k,
        "picks": picks,
        "seed": selection.seed,
        "languages": selection.languages,
        "embedder": selection.embedder,
    }


def _pick(picked: PickedSnippet) -> PickAnswer:
    pick, snippet = picked
    return PickAnswer(
        rank=pick.rank,
        radius=pick.radius,
        snippet_id=snippet.id,
        language=snippet.language,
        name=snippet.name,
        repo=snippet.repo,
        path=snippet.path,
        license=snippet.license,
    )

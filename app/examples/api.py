"""The example bank over REST."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Body, Path
from pydantic import BaseModel, ConfigDict, Field

from app.examples import queries, service
from app.examples.asking import AskedFilters
from app.examples.queries import Listed
from app.pipeline import Standing
from app.web.dependencies import AdminProject, ApiCaller, DbSession, ReadProject
from app.web.idempotency import api_router
from app.web.pagination import AskedWindow, Page, cut

router = api_router(tags=["examples"])

Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


class ExemplarShape(BaseModel):
    """A judged case that prompts may show."""

    id: int = Field(examples=[31])
    task: str = Field(examples=["generation"])
    language: str = Field(examples=["python"])
    is_good: bool
    origin: str = Field(description="person, judge or shipped", examples=["person"])
    instance_id: int | None = Field(description="Of which it was made; null for shipped ones", examples=[7])
    instruction: str
    information: str
    solution: str
    analysis: str = Field(description="Why it is good or bad")
    standing: Standing
    note: str = Field(description="Why it was pinned or retired")
    created_at: datetime


class ShownExemplar(ExemplarShape):
    calls: int = Field(description="In which a model saw it", examples=[12])
    runs: int = Field(description="That may draw it", examples=[2])
    unfinished_runs: int


class StandingRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    standing: Standing = Field(
        description="pinned: it comes into every snapshot; retired: into none; usual: it is left to the draw",
        examples=["pinned"],
    )
    note: str = Field("", max_length=2000)


@router.get("/projects/{project}/exemplars")
def exemplars(
    session: DbSession, project: ReadProject, caller: ApiCaller, filters: AskedFilters, asked: AskedWindow
) -> Page[ExemplarShape]:
    """The bank of the project and the shipped cases, the newest first."""
    rows, following = cut(
        queries.listed(
            session, project.id, caller.person.id, filters, before=asked.after, limit=asked.limit + 1
        ),
        asked,
        lambda row: row.case.id,
    )
    return Page(items=[ExemplarShape(**_fields(row)) for row in rows], next=following)


@router.get("/projects/{project}/exemplars/{exemplar_id}")
def exemplar(
    session: DbSession, project: ReadProject, caller: ApiCaller, exemplar_id: Number
) -> ShownExemplar:
    """One case, and how often models have seen it."""
    found = queries.one(session, project.id, caller.person.id, exemplar_id)
    shown = queries.shown(session, project.id, exemplar_id)
    return ShownExemplar(
        **_fields(found), calls=shown.calls, runs=shown.runs, unfinished_runs=shown.unfinished
    )


@router.put("/projects/{project}/exemplars/{exemplar_id}/standing")
def set_standing(
    session: DbSession,
    project: AdminProject,
    caller: ApiCaller,
    exemplar_id: Number,
    asked: Annotated[StandingRequest, Body()],
) -> ExemplarShape:
    """Pin or retire a case, or leave it to the draw again. Runs that have started keep what they froze."""
    found = service.set_standing(session, project, caller.person, exemplar_id, asked.standing, asked.note)
    return ExemplarShape(**_fields(found))


def _fields(row: Listed) -> dict[str, Any]:
    columns = (name for name in ExemplarShape.model_fields if name not in ("standing", "note"))
    values: dict[str, Any] = {name: getattr(row.case, name) for name in columns}
    return values | {"standing": row.standing, "note": row.note}

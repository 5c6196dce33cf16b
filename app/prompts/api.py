"""A project's prompts over REST: read, saved as a version, switched."""

from typing import Annotated

from fastapi import Body, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.pipeline import Task
from app.prompts import service
from app.prompts.asking import AskedDesk, GivenDesks
from app.prompts.desks import Desk
from app.storage.tables import Project
from app.storage.versions import SHIPPED, Chosen, versions_of
from app.web.dependencies import AdminProject, ApiCaller, DbSession, ReadProject
from app.web.idempotency import api_router
from app.web.versions import VersionShape, version_shapes

router = api_router(tags=["prompts"])


class PromptStanding(BaseModel):
    """Which version of one prompt the next runs start with."""

    name: str = Field(examples=["generate/repair"])
    kind: str = Field(description="generate or judge")
    task: Task
    version: int | None = Field(description="In force; null: as shipped", examples=[2])
    content_hash: str
    versions: int = Field(description="How many people have written")


class PromptShape(BaseModel):
    name: str = Field(examples=["generate/repair"])
    version: int | None = Field(description="Null: as shipped", examples=[2])
    in_force: bool = Field(description="Whether the next runs start with it")
    content_hash: str
    content: str = Field(description="The system message, a line `---`, and the question")


class NewPrompt(BaseModel):
    model_config = ConfigDict(extra="forbid")

    content: str = Field(max_length=200_000)
    note: str = Field("", max_length=1000, examples=["Asks for imports in so many words."])


class PromptSwitch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int | None = Field(ge=1, le=10**9, description="Null: back to what is shipped", examples=[2])
    without_replay: bool = Field(
        False, description="Though nobody has replayed a judge's prompt on what people decided"
    )


class TryRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int | None = Field(None, ge=1, le=10**9, description="Null: the shipped text", examples=[2])


class StartedTry(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="The run", examples=[17])
    kind: str = Field(examples=["try"])
    state: str
    total: int = Field(description="Picks or instances that are asked about")


class TryEstimate(BaseModel):
    """Null where the price of the model is unknown."""

    subjects: int = Field(description="Picks or instances", examples=[5])
    model: str
    cost_usd: float | None = Field(description="Probably", examples=[0.0021])
    at_most_usd: float | None = Field(description="The budget of the try", examples=[0.0312])


@router.get("/projects/{project}/prompts")
def prompts(session: DbSession, project: ReadProject, desks: GivenDesks) -> list[PromptStanding]:
    """Every prompt of the project, with the version in force."""
    standings = [service.standing(session, project, desk, task) for desk in desks.values() for task in Task]
    return [
        PromptStanding(
            name=one.name,
            kind=one.kind,
            task=one.task,
            version=one.force.version,
            content_hash=one.force.template.content_hash,
            versions=len(one.versions),
        )
        for one in standings
    ]


@router.get("/projects/{project}/prompts/{kind}/{task}")
def prompt(
    session: DbSession,
    project: ReadProject,
    desk: AskedDesk,
    task: Task,
    version: Annotated[
        str | None, Query(max_length=20, description="A number or `shipped`; without it the one in force")
    ] = None,
) -> PromptShape:
    """One version of a prompt, with its text."""
    if version:
        return _shape(service.shown(session, project, desk, task, version))
    return _shape(service.standing(session, project, desk, task).force)


@router.get("/projects/{project}/prompts/{kind}/{task}/versions")
def prompt_versions(
    session: DbSession, project: ReadProject, desk: AskedDesk, task: Task
) -> list[VersionShape]:
    """Those that people wrote, the newest first."""
    return _versions(session, project, desk, task)


@router.post("/projects/{project}/prompts/{kind}/{task}/versions", status_code=201)
def save_prompt(
    session: DbSession,
    project: AdminProject,
    caller: ApiCaller,
    desk: AskedDesk,
    task: Task,
    asked: Annotated[NewPrompt, Body()],
    response: Response,
) -> PromptShape:
    """Keep a version. It is in force only when somebody puts it there. 422 names every fault and its line."""
    saved = service.save_prompt(session, project, desk, task, asked.content, caller.person.id, asked.note)
    response.headers["Location"] = (
        f"/api/v1/projects/{project.slug}/prompts/{saved.template.name}?version={saved.key}"
    )
    return _shape(saved)


@router.post("/projects/{project}/prompts/{kind}/{task}/in-force")
def switch_prompt(
    session: DbSession,
    project: AdminProject,
    caller: ApiCaller,
    desk: AskedDesk,
    task: Task,
    asked: Annotated[PromptSwitch, Body()],
) -> PromptShape:
    """From now on runs start with this version; runs that have started keep theirs.

    409 where they do already, or for a judge's prompt that was never replayed.
    """
    found = service.switch_prompt(
        session,
        project,
        desk,
        task,
        _key(asked.version),
        caller.person.id,
        without_replay=asked.without_replay,
    )
    return _shape(found)


@router.post("/projects/{project}/prompts/{kind}/{task}/tries", status_code=202)
def start_try(
    session: DbSession,
    project: AdminProject,
    caller: ApiCaller,
    desk: AskedDesk,
    task: Task,
    asked: Annotated[TryRequest, Body()],
    response: Response,
) -> StartedTry:
    """Ask a version about five picks or instances, within a budget. It makes neither instances nor verdicts."""
    run = service.start_try(session, project, desk, task, _key(asked.version), caller.person.id)
    response.headers["Location"] = f"/api/v1/projects/{project.slug}/runs/{run.id}"
    return StartedTry.model_validate(run)


@router.post("/projects/{project}/prompts/{kind}/{task}/tries/estimate")
def estimate_try(
    session: DbSession,
    project: AdminProject,
    caller: ApiCaller,
    desk: AskedDesk,
    task: Task,
    asked: Annotated[TryRequest, Body()],
) -> TryEstimate:
    """What the same request would cost. Nothing is started."""
    planned = service.plan_try(session, project, desk, task, _key(asked.version), caller.person.id)
    return TryEstimate(
        subjects=len(planned.previews),
        model=planned.price.model,
        cost_usd=_usd(planned.price.about_micro),
        at_most_usd=_usd(planned.price.at_most_micro),
    )


def _key(version: int | None) -> str:
    return SHIPPED if version is None else str(version)


def _usd(micro: int | None) -> float | None:
    return None if micro is None else micro / 1_000_000


def _shape(found: Chosen) -> PromptShape:
    return PromptShape(
        name=found.template.name,
        version=found.version,
        in_force=found.is_in_force,
        content_hash=found.template.content_hash,
        content=found.template.content,
    )


def _versions(session: DbSession, project: Project, desk: Desk, task: Task) -> list[VersionShape]:
    stands = service.standing(session, project, desk, task)
    written = versions_of(session, project.id, stands.name)
    return version_shapes(written, stands.force.template.content_hash)

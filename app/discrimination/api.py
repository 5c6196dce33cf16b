"""Replays of decided instances by another judge, over REST. What they found: `dashboard`."""

from typing import Annotated

from fastapi import Body, Response
from pydantic import BaseModel, ConfigDict, Field

from app.discrimination import replaying
from app.discrimination.replaying import MOST, USUAL, Wanted
from app.pipeline import Task
from app.web.dependencies import AdminProject, ApiCaller, DbSession
from app.web.idempotency import api_router

router = api_router(tags=["quality"])


class ReplayRunRequest(BaseModel):
    """Which judge is asked about what people have decided."""

    model_config = ConfigDict(extra="forbid")

    discriminator: str = Field(
        max_length=200, description="A model's name at the provider, or `offline`", examples=["offline"]
    )
    most: int = Field(USUAL, ge=1, le=MOST, description="The newest so many decided instances")
    budget_usd: float | None = Field(
        None, description="The most it may cost; without it no cap", examples=[1]
    )
    rules: str | None = Field(
        None,
        max_length=20,
        description="A version of the rules to judge by, or `shipped`; without it those in force",
        examples=["3"],
    )
    prompts: dict[Task, Annotated[str, Field(max_length=20)]] = Field(
        default={},
        description="A version of the judge's prompt of some tasks, or `shipped`; without rules only instances of"
        " these tasks are judged",
        examples=[{"generation": "2"}],
    )


class StartedReplay(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="The run; its verdicts stand at `quality/replays/{id}`", examples=[14])
    kind: str
    state: str
    total: int = Field(description="Instances")


class ReplayEstimate(BaseModel):
    instances: int = Field(examples=[2000])
    cost_usd: float | None = Field(
        description="If nothing had been asked before; null where the price is unknown", examples=[0.84]
    )


Asked = Annotated[ReplayRunRequest, Body()]


@router.post("/projects/{project}/quality/replay-runs", status_code=202)
def start_replay(
    session: DbSession, project: AdminProject, caller: ApiCaller, asked: Asked, response: Response
) -> StartedReplay:
    """Ask another judge about decided instances that never served as an example. Asking again costs nothing."""
    run = replaying.start_replay(session, project, Wanted(**dict(asked)), caller.person)
    response.headers["Location"] = f"/api/v1/projects/{project.slug}/runs/{run.id}"
    return StartedReplay.model_validate(run)


@router.post("/projects/{project}/quality/replay-runs/estimate")
def estimate_replay(session: DbSession, project: AdminProject, asked: Asked) -> ReplayEstimate:
    """What the same request would probably cost. Nothing is started."""
    found = replaying.estimate(session, project, Wanted(**dict(asked)))
    cost = None if found.cost_micro is None else found.cost_micro / 1_000_000
    return ReplayEstimate(instances=found.instances, cost_usd=cost)

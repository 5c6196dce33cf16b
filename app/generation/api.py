"""Starting a generation over REST. Its progress is the run's."""

from typing import Annotated

from fastapi import Body, Response
from pydantic import BaseModel, ConfigDict, Field

from app.generation import service
from app.generation.plan import Wanted
from app.web.dependencies import AdminProject, ApiCaller, DbSession
from app.web.idempotency import api_router

router = api_router(tags=["generations"])


class GenerationRequest(BaseModel):
    """What to generate. Models left out are the configured ones, `offline` where none is configured."""

    model_config = ConfigDict(extra="forbid")

    tasks: dict[str, float] = Field(
        description="The share of each task: summarization, generation, translation, repair",
        examples=[{"generation": 0.57, "summarization": 0.16, "repair": 0.16, "translation": 0.11}],
    )
    count: int | None = Field(None, description="Instances over all tasks", examples=[800])
    until_pass: int | None = Field(
        None,
        description="Instead of `count`: go on until so many of each task and language pass the discriminator",
        examples=[50],
    )
    at_most: int | None = Field(
        None,
        description="With `until_pass`: attempts for each task and language; without it twice as many",
        examples=[100],
    )
    selection_id: int | None = Field(
        None, ge=1, le=2**63 - 1, description="Without it the newest completed selection", examples=[4]
    )
    generator: str | None = Field(
        None, max_length=200, description="A model's name at the provider, or `offline`", examples=["offline"]
    )
    discriminator: str | None = Field(
        None, max_length=200, description="A model's name at the provider, or `offline`", examples=["offline"]
    )
    budget_usd: float | None = Field(
        None, description="The most it may cost; without it no cap", examples=[5]
    )
    priority: str = Field(
        "normal",
        max_length=20,
        description="low, normal or high: its share of the calls in flight",
        examples=["normal"],
    )
    seed: int = Field(0, description="Fixes every draw of the run", examples=[0])
    send_back: bool = Field(
        False,
        description="Whether a text that a verdict or a check speaks against goes back to the generator, once",
    )
    candidates: int = Field(
        1, description="Of each pick and task, before the next pick is used", examples=[1]
    )
    granularities: dict[str, float] = Field(
        default={},
        description="Of summaries, by share: line, paragraph, steps; without it all evenly",
        examples=[{"line": 1, "paragraph": 2}],
    )
    targets: dict[str, float] = Field(
        default={},
        description="Of translations, by share; what a pick is in already goes to the others. Without it all evenly",
        examples=[{"go": 1, "java": 1}],
    )


class StartedGeneration(BaseModel):
    """The run that was started; `Location` leads to the whole of it."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="The run", examples=[12])
    kind: str = Field(examples=["generate"])
    state: str = Field(examples=["queued"])
    total: int = Field(description="Instances asked for; with `until_pass` attempts at most", examples=[800])
    params: dict[str, object] = Field(description="All that it takes to do it again")


class PriceEstimate(BaseModel):
    cost_usd: float | None = Field(description="Null where the price of a model is unknown", examples=[1.27])
    input_tokens: int = Field(examples=[1_480_000])
    output_tokens: int = Field(examples=[520_000])


Asked = Annotated[GenerationRequest, Body()]


@router.post("/projects/{project}/generations", status_code=202)
def start_generation(
    session: DbSession, project: AdminProject, caller: ApiCaller, asked: Asked, response: Response
) -> StartedGeneration:
    """Generate and judge instances from a selection's picks. Workers do it; `Location` is the run."""
    run = service.start_generation(session, project, Wanted(**dict(asked)), caller.person)
    response.headers["Location"] = f"/api/v1/projects/{project.slug}/runs/{run.id}"
    return StartedGeneration.model_validate(run)


@router.post("/projects/{project}/generations/estimate")
def estimate_generation(session: DbSession, project: AdminProject, asked: Asked) -> PriceEstimate:
    """What the same request would probably cost. Nothing is started."""
    found = service.estimate(session, service.check_order(session, project, Wanted(**dict(asked))))
    cost = None if found.cost_micro is None else found.cost_micro / 1_000_000
    return PriceEstimate(cost_usd=cost, input_tokens=found.input_tokens, output_tokens=found.output_tokens)

"""What good instances cost, over REST."""

from pydantic import BaseModel, Field

from app.dashboard import costs
from app.dashboard.costs import Bought
from app.web.dependencies import DbSession, ReadProject
from app.web.idempotency import api_router

router = api_router(tags=["quality"])


class BoughtShape(BaseModel):
    """Every call for these instances, those that came to nothing included."""

    cost_usd: float
    made: int = Field(description="instances with a text")
    passed: int
    accepted: int = Field(description="by people so far")
    per_passed_usd: float | None
    per_accepted_usd: float | None


class StageCostShape(BaseModel):
    stage: str
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    per_passed_usd: float | None = Field(description="what it adds to the price of one passed instance")
    per_accepted_usd: float | None


class ProjectCosts(BaseModel):
    all: BoughtShape
    by_task: dict[str, BoughtShape] = Field(examples=[{}])
    by_stage: list[StageCostShape]


@router.get("/projects/{project}/quality/costs")
def project_costs(session: DbSession, project: ReadProject) -> ProjectCosts:
    """The price of an instance that passes and of one that people accept, by task, stage and model."""
    tasks = costs.by_task(session, project.id)
    all_tasks = costs.in_all(tasks)
    return ProjectCosts(
        all=_shape(all_tasks),
        by_task={task: _shape(one) for task, one in tasks.items()},
        by_stage=[
            StageCostShape(
                stage=one.stage,
                model=one.model,
                calls=one.calls,
                prompt_tokens=one.prompt_tokens,
                completion_tokens=one.completion_tokens,
                cost_usd=one.cost_micro / 1e6,
                per_passed_usd=one.cost_micro / all_tasks.passed / 1e6 if all_tasks.passed else None,
                per_accepted_usd=one.cost_micro / all_tasks.accepted / 1e6 if all_tasks.accepted else None,
            )
            for one in costs.by_stage(session, project.id)
        ],
    )


def _shape(one: Bought) -> BoughtShape:
    return BoughtShape(
        cost_usd=one.cost_micro / 1e6,
        made=one.made,
        passed=one.passed,
        accepted=one.accepted,
        per_passed_usd=None if one.per_passed is None else one.per_passed / 1e6,
        per_accepted_usd=None if one.per_accepted is None else one.per_accepted / 1e6,
    )

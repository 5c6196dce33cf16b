"""What share of the instances of a filter is good, as people and verdicts tell, for scripts."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from app.dashboard.api import Figure
from app.dashboard.estimates import DRAWN, FEWEST_UNITS, PREDICTION, Design
from app.dashboard.labelled import Estimated, Filters, OfVerdict, estimated
from app.dashboard.progress import Period
from app.pipeline import Task, Verdict
from app.web.dependencies import DbSession, ReadProject
from app.web.idempotency import api_router

router = api_router(tags=["quality"])


class VerdictCounts(BaseModel):
    """What is known of the instances with one verdict."""

    verdict: str | None = Field(description="pass, fail, invalid, or null: none", examples=["pass"])
    prediction: float = Field(description="what the verdict counts as: pass 1, fail 0, others 0.5")
    instances: int
    labels: int
    good: int


class EstimatesOfDesign(BaseModel):
    """The share of good instances, estimated twice from the same labels."""

    design: Design = Field(description="how the labelled instances came to be read")
    drawn: str = Field(description="the same in words", examples=[DRAWN[Design.QUEUE]])
    random: bool = Field(description="drawn at random, without replacement: else it describes what was read")
    instances: int = Field(examples=[12000])
    labels: int = Field(description="instances that people labelled", examples=[300])
    good: int = Field(description="of the labels", examples=[240])
    people: Figure = Field(description="from the labels alone; Wilson's interval")
    powered: Figure = Field(description="from labels and verdicts (PPI++)")
    weight: float | None = Field(
        description="of the verdicts, 0 to 1; 0: they are no help, and both estimates are the same",
        examples=[0.6],
    )
    narrower: float | None = Field(
        description="by what part of its width the verdicts narrow the interval; negative: they widen it",
        examples=[0.19],
    )
    verdicts: list[VerdictCounts]


class EstimatesShape(BaseModel):
    """Good: accepted unchanged by everybody who read it, or by an adjudicator where they disagree."""

    task: str | None
    language: str | None
    verdict: str | None
    period: Period = Field(description="in which the labels were given")
    fewest_labels: int = Field(
        FEWEST_UNITS, description="below, figures have no value", examples=[FEWEST_UNITS]
    )
    in_bulk: int = Field(description="instances that are decided though nobody read them: no labels")
    estimates: list[EstimatesOfDesign] = Field(description="one for each design that there are labels of")


@router.get("/projects/{project}/quality/estimates")
def quality_estimates(
    session: DbSession,
    project: ReadProject,
    task: Task | None = None,
    language: Annotated[str | None, Query(max_length=40)] = None,
    verdict: Verdict | None = None,
    period: Period = Period.ALL,
) -> EstimatesShape:
    """What share of the instances of a filter is good, with 95 % intervals, by people alone and with the verdicts."""
    filters = Filters(task, language, verdict)
    found = estimated(session, project.id, filters, period)
    return EstimatesShape(
        **filters._asdict(),
        period=period,
        in_bulk=sum(one.in_bulk for one in found),
        estimates=[_of_design(one) for one in found],
    )


def _of_design(one: Estimated) -> EstimatesOfDesign:
    return EstimatesOfDesign(
        design=one.design,
        drawn=DRAWN[one.design],
        random=one.design.is_random,
        instances=one.instances,
        labels=one.labels,
        good=one.good,
        people=Figure(**one.figures.people._asdict()),
        powered=Figure(**one.figures.powered._asdict()),
        weight=one.figures.weight,
        narrower=one.figures.narrower,
        verdicts=[_of_verdict(row) for row in one.verdicts],
    )


def _of_verdict(row: OfVerdict) -> VerdictCounts:
    counts = row._asdict()
    del counts["in_bulk"]
    return VerdictCounts(prediction=PREDICTION[row.verdict], **counts)

"""What a run looks like over REST. Pure."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

_EXAMPLE: JsonDict = {
    "id": 12,
    "kind": "generate",
    "state": "running",
    "reason": None,
    "standing": None,
    "total": 800,
    "done": {"passed": 310, "failed_verdict": 52, "unusable": 6},
    "pending": 432,
    "reasons": {"http_503": 2},
    "calls": {"done": 738, "failed": 9, "cached": 4, "unknown": 1, "sent": 32},
    "cost_usd": 0.4127,
    "reserved_usd": 0.0311,
    "budget_usd": 5.0,
    "priority": "normal",
    "created_at": "2026-11-22T10:00:00Z",
    "started_at": "2026-11-22T10:00:01Z",
    "finished_at": None,
    "eta_s": 41.5,
    "params": {"count": 800, "seed": 0},
}


_REREAD: JsonDict = {
    "usable": 6,
    "changed": 1,
    "refused": 0,
    "marked": 12,
    "same": 778,
    "decided": 3,
    "in_hand": 0,
    "sent_back": 0,
    "other_rules": 0,
    "without_reply": 0,
    "examples": [{"instance_id": 7, "stage": "discriminate", "came": "changed", "detail": "fail, now pass"}],
    "next": None,
    "run": None,
}


class RunShape(BaseModel):
    """A run of any kind. In every state: total = sum(done) + pending."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: int
    kind: str = Field(description="ingest, import, select, generate, replay, try or release")
    state: str = Field(
        description="queued, running, paused, completed, completed_with_errors, failed or cancelled"
    )
    reason: str | None = Field(description="Why it is paused or failed")
    standing: str | None = Field(
        default=None,
        description="Of a run that should move and has not for a minute: since when, why, and what to do",
        examples=["Nothing has moved for 4 min: 12 items wait for a worker since 12:03:10 UTC (4 min) ..."],
    )
    total: int
    done: dict[str, int] = Field(description="How many rows ended how")
    pending: int
    reasons: dict[str, int] = Field(description="What stopped the items that failed or wait for another try")
    calls: dict[str, int] = Field(
        description="Questions to a model by state: sent (in flight), done, cached (answered before, not paid), "
        "failed (without a reply, not paid), unknown (may have been billed)"
    )
    cost_usd: float
    reserved_usd: float = Field(
        description="Promised to calls in flight, or to calls that may have been billed"
    )
    budget_usd: float | None
    priority: str = Field(
        description="low, normal or high: the share of the calls in flight beside other runs"
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    eta_s: float | None
    params: dict[str, Any]


class EventShape(BaseModel):
    """What was decided about a run."""

    id: int
    at: datetime
    by: str | None = Field(description="Who; null: the engine itself", examples=["Ada"])
    event: str = Field(examples=["paused"])
    detail: str = Field(examples=["budget"])


class ItemShape(BaseModel):
    """An item that did not go well, or waits for another try, with its last call."""

    id: int
    instance_id: int
    stage: str = Field(description="generate or discriminate")
    outcome: str | None = Field(description="Null while it waits for another try", examples=["unusable"])
    attempts: int = Field(description="Calls that were sent")
    error_code: str | None = Field(examples=["unparsable"])
    error_detail: str | None
    call_state: str | None = Field(examples=["done"])
    model: str | None
    finish_reason: str | None = Field(examples=["stop"])
    refusal: str | None
    reply: str | None = Field(description="Raw, whatever it was")


class SpendShape(BaseModel):
    """What the calls of one stage to one model came to, by state."""

    stage: str = Field(examples=["generate"])
    model: str
    state: str = Field(examples=["done"])
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class LaneShape(BaseModel):
    """A task in a language with its goal: passed + ended + active + parked = attempts planned."""

    lane: str = Field(examples=["generation/python"])
    wanted: int
    passed: int
    ended: int = Field(description="In any other way")
    active: int = Field(description="Pending or in flight")
    parked: int = Field(description="Only made if the goal needs them")


class CostsShape(BaseModel):
    """What a run has cost, by stage and model, and what one good instance costs."""

    spend: list[SpendShape]
    cost_usd: float = Field(examples=[0.4127])
    reserved_usd: float
    per_passed_usd: float | None = Field(description="Null while nothing has passed")
    accepted: int = Field(description="Instances that people accepted")
    per_accepted_usd: float | None = Field(description="Null while nothing was accepted")
    lanes: list[LaneShape] = Field(description="Of a run with a goal")


class BudgetRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    budget_usd: float | None = Field(description="The most the run may cost; null: no cap", examples=[5.0])


class PriorityRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    priority: str = Field(max_length=20, description="low, normal or high", examples=["high"])


class RetryRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    outcome: str = Field(
        max_length=40, description="unusable, error or invalid_verdict", examples=["unusable"]
    )
    how: Literal["reparse", "ask"] = Field(
        description="reparse: read the last raw reply again, which pays nothing; ask: ask the model anew"
    )


class ExampleShape(BaseModel):
    """An instance that would be read differently."""

    instance_id: int = Field(examples=[7])
    stage: str = Field(description="generate: its text; discriminate: its verdict")
    came: str = Field(examples=["changed"])
    detail: str = Field(examples=["fail, now pass"])


class RereadShape(BaseModel):
    """What reading the stored replies of a run again comes to, in instances. No model is asked."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REREAD]})

    usable: int = Field(description="There was no instance or no verdict, and there will be one")
    changed: int = Field(description="Another text or another verdict")
    refused: int = Field(description="What was read before is not read any more")
    marked: int = Field(description="The same, and the call will say that it was read more or less loosely")
    same: int
    decided: int = Field(description="Left alone: people have decided, or it is in the lot of an audit")
    in_hand: int = Field(description="Left alone: somebody reads it, or it is still being worked on")
    sent_back: int = Field(description="Left alone: they went back to the generator after a verdict")
    other_rules: int = Field(description="Left alone: judged by rules that are no longer in force")
    without_reply: int
    examples: list[ExampleShape] = Field(description="Up to ten each of those that are read again")
    next: int | None = Field(description="The cursor to go on from, of a run with more instances")
    run: RunShape | None = Field(default=None, description="After reading again")


class WrittenOff(BaseModel):
    calls: int = Field(
        description="Calls that may have been billed, whose reservation was given back", examples=[3]
    )
    run: RunShape

"""What a run looks like over REST. Pure."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

_EXAMPLE: JsonDict = {
    "id": 12,
    "kind": "generate",
    "state": "running",
    "reason": None,
    "total": 800,
    "done": {"passed": 310, "failed_verdict": 52, "unusable": 6},
    "pending": 432,
    "reasons": {"http_503": 2},
    "cost_usd": 0.4127,
    "reserved_usd": 0.0311,
    "budget_usd": 5.0,
    "created_at": "2026-11-22T10:00:00Z",
    "started_at": "2026-11-22T10:00:01Z",
    "finished_at": None,
    "eta_s": 41.5,
    "params": {"count": 800, "seed": 0},
}


class RunShape(BaseModel):
    """A run of any kind. In every state: total = sum(done) + pending."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: int
    kind: str = Field(description="ingest, select, generate or release")
    state: str = Field(
        description="queued, running, paused, completed, completed_with_errors, failed or cancelled"
    )
    reason: str | None = Field(description="Why it is paused or failed")
    total: int
    done: dict[str, int] = Field(description="How many rows ended how")
    pending: int
    reasons: dict[str, int] = Field(description="What stopped the items that failed or wait for another try")
    cost_usd: float
    reserved_usd: float = Field(
        description="Promised to calls in flight, or to calls that may have been billed"
    )
    budget_usd: float | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    eta_s: float | None
    params: dict[str, Any]

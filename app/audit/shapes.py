"""What an audit looks like over REST. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

_ASKED: JsonDict = {"max_defect_rate": 0.02, "alpha": 0.05, "census": "none", "filters": {"runs": [12]}}

_EXAMPLE: JsonDict = {
    "id": 7,
    "project": "demo",
    "state": "open",
    "why_closed": "",
    "frozen_at": "2026-11-26T10:00:00Z",
    "closed_at": None,
    "filters": {"runs": [12]},
    "gates": {"unknown_license": {"mode": "block", "found": 85, "removed": 85}, "secrets": "not checked"},
    "census": "none",
    "rows": 19915,
    "census_rows": 0,
    "dropped_rows": 0,
    "max_defect_rate": 0.02,
    "alpha": 0.05,
    "alpha_used": 0.05,
    "attempts": 1,
    "attempt": 1,
    "first": True,
    "double_share": 0.1,
    "prior": {"a": 0.25, "b": 49.75},
    "lot_sha256": "5f0c",
    "order_sha256": "b1d2",
    "seed": "9e41",
    "guideline_version": 3,
    "code_version": "0.1.0",
    "draws": 120,
    "defects": 1,
    "tolerance": 398,
    "certified_at": None,
    "upper_bound": 1022,
    "census_read": 0,
}
_WHOLE: JsonDict = {
    **_EXAMPLE,
    "upper_bounds": [19721, 19530],
    "expected_draws_left": 212.4,
    "reviews_left": 210,
    "fixed_plans": [{"defects_allowed": 0, "draws": 148}, {"defects_allowed": 1, "draws": 234}],
    "earlier_audits": [],
    "readings": {
        "twice": 11,
        "second_done": 9,
        "disagreements_open": 0,
        "found_again": 1,
        "missed": 0,
        "miss_rate_limit": 0.95,
    },
}


class AskedAudit(BaseModel):
    """What should be claimed about which rows. Only the two rates are needed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_ASKED]})

    max_defect_rate: float = Field(description="The share of defects that the release may claim at most")
    alpha: float = Field(description="The chance of certifying a lot that has more, over all attempts")
    filters: dict[str, list[str | int]] = Field(
        default_factory=dict,
        description="tasks, languages, runs (numbers), statuses (waiting, disputed, accepted); default all",
    )
    gates: dict[str, str] = Field(
        default_factory=dict,
        description="unknown_license, exact_duplicate, does_not_parse: block or admit. They act before the freeze",
    )
    census: str = Field(
        "none",
        description="Of rows with a failed or contradictory verdict or failed evidence: none (drawn from like the "
        "rest), read (in full) or drop (they leave the lot)",
    )
    attempts: int | None = Field(
        None, description="Declared before the first draw; each gets an equal part of alpha. Default 1"
    )
    double_share: float = Field(0.1, description="The share of draws that the seed gives to a second reader")


class WhyAbandoned(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"why": "A wrong filter"}]})

    why: str


class PlanShape(BaseModel):
    """A plan of a fixed size with the same guarantee."""

    defects_allowed: int
    draws: int


class EarlierShape(BaseModel):
    """An audit that was frozen before and shares rows with this one."""

    id: int
    state: str
    attempt: int
    shared_rows: int


class ReadingsShape(BaseModel):
    """Rows that the seed gave to a second reader, of those drawn and read so far."""

    twice: int
    second_done: int
    disagreements_open: int = Field(
        description="That wait for an adjudicator; they count as defects meanwhile"
    )
    found_again: int = Field(description="Defects that second readings found")
    missed: int = Field(description="Of those, called ok by the first reading")
    miss_rate_limit: float = Field(
        description="The share of defects that a reading misses is at most this, with confidence 1 - alpha"
    )


class AuditRow(BaseModel):
    """An audit: what was fixed at its freeze, and how it stands by the labels so far."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: int
    project: str = Field(description="The project's slug")
    state: str = Field(
        description="open, certified, failed (more defects than the claim allows) or abandoned"
    )
    why_closed: str
    frozen_at: datetime
    closed_at: datetime | None
    filters: Mapping[str, Any]
    gates: Mapping[str, Any]
    census: str
    rows: int = Field(description="N, of the part that is drawn from")
    census_rows: int = Field(description="of the part that is read in full")
    dropped_rows: int = Field(description="suspicious ones that left before the freeze")
    max_defect_rate: float
    alpha: float
    alpha_used: float = Field(description="alpha / attempts")
    attempts: int
    attempt: int
    first: bool = Field(description="No lot before it shares rows with it")
    double_share: float
    prior: Mapping[str, float] = Field(description="a and b of the beta prior, fixed before the first draw")
    lot_sha256: str = Field(description="of lot.jsonl, logged before the seed was drawn")
    order_sha256: str
    seed: str
    guideline_version: int | None
    code_version: str
    draws: int = Field(description="that count: those before the first without a label")
    defects: int = Field(description="among them")
    tolerance: int | None = Field(
        description="Defects that the drawn part may hold; null: the census goes on"
    )
    certified_at: int | None = Field(description="draws")
    upper_bound: int = Field(description="Most defects in the drawn part that are not ruled out")
    census_read: int


class AuditShape(AuditRow):
    """With the course of the audit and what it still needs."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WHOLE]})

    upper_bounds: list[int] = Field(description="after each draw")
    expected_draws_left: float | None = Field(
        description="On average at the present rate; null: at that rate it would never be certified"
    )
    reviews_left: int | None = Field(
        description="Those draws, less rows read early, and the rest of the census"
    )
    fixed_plans: Sequence[PlanShape]
    earlier_audits: list[EarlierShape]
    readings: ReadingsShape

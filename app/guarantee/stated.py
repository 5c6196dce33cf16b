"""The facts in a certificate as whoever wrote it states them: of which types, in which ranges. Pure.

A certificate may come from anybody. What is of these types can be reckoned with, and what follows from it is compared.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_Number = Annotated[int, Field(ge=0, le=2**63 - 1)]
_FromOne = Annotated[int, Field(ge=1, le=2**63 - 1)]
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]


class _Stated(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Prior(_Stated):
    model_config = ConfigDict(strict=True, extra="forbid")

    a: _Positive
    b: _Positive


class _Reading(_Stated):
    decision: _Number
    label: str
    reader: str


class _ReadRow(_Stated):
    id: str
    readings: list[_Reading]


class _Census(_Stated):
    mode: str
    readings: list[_ReadRow]


class _Change(_Stated):
    model_config = ConfigDict(strict=True, extra="forbid")

    id: str
    at: str
    before: str
    after: str
    why: str
    decision: _Number | None
    note: str


class _Corrected(_Stated):
    id: str
    hash: str


class _Removed(_Stated):
    id: str
    why: str


class _Earlier(_Stated):
    id: _Number
    shared_rows: _Number
    state: str
    alpha: _Share
    max_defect_rate: _Share
    draws: _Number
    defects: _Number


class _Certificate(_Stated):
    audit_id: _Number
    frozen_at: str
    code_version: str
    guideline_version: _Number | None
    max_defect_rate: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
    alpha: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
    prior: _Prior
    attempts: Annotated[int, Field(ge=1, le=10**6)]
    attempt: _FromOne
    earlier_audits: list[_Earlier]
    seed: str
    double_share: _Share
    dropped_rows: _Number
    census: _Census
    draws: list[_ReadRow]
    label_changes: list[_Change]
    corrected: list[_Corrected]
    removed: list[_Removed]


def what_is_odd(found: Mapping[str, Any]) -> str | None:
    """The first fact of a certificate that is none, with its place; None where all are."""
    try:
        _Certificate.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return None

"""What a refusal looks like over REST (RFC 9457), for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel, Field


class FieldProblem(BaseModel):
    field: str = Field(examples=["count"])
    detail: str = Field(examples=["count must be from 1 to 1,000,000"])


class Problem(BaseModel):
    """Why a request was refused. Nothing of it was done."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["count must be from 1 to 1,000,000"])
    instance: str = Field(
        description="The address that was asked", examples=["/api/v1/projects/demo/generations"]
    )
    errors: list[FieldProblem] | None = Field(None, description="The values that cannot be used, by name")


# Inlined, because FastAPI collects only models of answers that it writes itself.
_SCHEMA: dict[str, Any] = Problem.model_json_schema()
_SCHEMA["properties"]["errors"]["anyOf"][0]["items"] = _SCHEMA.pop("$defs")["FieldProblem"]

_CONTENT = {"application/problem+json": {"schema": _SCHEMA}}

REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "Refused: 401 no or bad token, 403 not allowed, 404 not there or not to be known, 409 conflict, "
        "413 too large, 422 invalid with the field named, 429 too many with `Retry-After`",
        "content": _CONTENT,
    },
    "5XX": {
        "description": "Nothing was changed: 503 the database refuses or is away, 507 a disk is full, with "
        "`Retry-After` where waiting helps; 500 a fault of ours, which the server's log names",
        "content": _CONTENT,
    },
}

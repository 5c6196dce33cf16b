"""Releases over REST."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Header, Path, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.export import queries, service
from app.export.asking import Wanted
from app.export.queries import ReleaseRun
from app.export.writing import sha256_of
from app.web.dependencies import AdminProject, ApiCaller, DbSession, ReadProject
from app.web.idempotency import api_router
from app.web.pagination import AskedWindow, Page, cut

router = api_router(tags=["releases"])

Name = Annotated[str, Path(max_length=100, examples=["2026-11"])]

_EXAMPLE: JsonDict = {
    "name": "2026-11",
    "basis": "people",
    "filters": {"tasks": ["repair"]},
    "gates": {"unknown_license": "block"},
    "splits": {"train": 0.9, "test": 0.1},
    "formats": ["codeocean", "alpaca"],
}


class AskedRelease(BaseModel):
    """What to release. Only `name` is needed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    name: str = Field(max_length=100)
    basis: str = Field(
        "people",
        description="people: what a person accepted or edited. audited: the lot of a certified audit, with what "
        "was found defective corrected or removed",
    )
    audit_id: int | None = Field(None, description="For the basis audited; default the newest certified one")
    filters: dict[str, list[str]] = Field(
        default_factory=dict, description="tasks, languages. Not for the basis audited: the lot is the filter"
    )
    gates: dict[str, Literal["block", "admit"]] = Field(
        default_factory=dict,
        description="unknown_license, exact_duplicate, does_not_parse. Not for the basis audited",
    )
    splits: dict[str, float] = Field(
        default_factory=dict, description="Shares that add up to 1; default train"
    )
    formats: list[str] = Field(
        default_factory=list, description="alpaca, messages, sharegpt; codeocean and parquet are always built"
    )


class StartedRelease(BaseModel):
    """The run that builds it; `Location` leads to the whole of it."""

    id: int = Field(description="The run", examples=[14])
    kind: str = Field(examples=["release"])
    state: str = Field(examples=["queued"])
    name: str = Field(examples=["2026-11"])


class ReleaseRow(BaseModel):
    name: str = Field(examples=["2026-11"])
    basis: str = Field(examples=["people"])
    audit_id: int | None = Field(description="The audit whose lot it is, of the basis audited")
    created_at: datetime
    run_id: int = Field(examples=[14])
    state: str = Field(description="Of its run", examples=["completed"])
    rows: int | None = Field(description="null until it is built", examples=[19915])
    sha256: str | None = Field(description="Over the hashes of its rows")


@router.post("/projects/{project}/releases", status_code=202)
def add_release(
    session: DbSession, project: AdminProject, caller: ApiCaller, asked: AskedRelease, response: Response
) -> StartedRelease:
    """Build a release. A worker does it; `Location` is the run. 409 where the audit is not certified."""
    wanted = Wanted(**asked.model_dump())
    run = service.start_release(session, project, wanted, caller.person)
    response.headers["Location"] = f"/api/v1/projects/{project.slug}/runs/{run.id}"
    return StartedRelease(id=run.id, kind=run.kind, state=run.state, name=asked.name)


@router.get("/projects/{project}/releases")
def releases(session: DbSession, project: ReadProject, asked: AskedWindow) -> Page[ReleaseRow]:
    """The newest first."""
    found, following = cut(
        queries.releases_of(session, project.id, asked.after, asked.limit + 1),
        asked,
        lambda one: one.release.id,
    )
    return Page(items=[_row(one) for one in found], next=following)


@router.get("/projects/{project}/releases/latest")
def latest(session: DbSession, project: ReadProject) -> Mapping[str, Any]:
    """The manifest of the newest release that is built."""
    return service.manifest_of(session, project, queries.latest_release(session, project.id).name)


@router.get("/projects/{project}/releases/{name}")
def release(session: DbSession, project: ReadProject, name: Name) -> Mapping[str, Any]:
    """Its manifest: counts, files with hashes, gates, funnel. 409 while it is being built."""
    return service.manifest_of(session, project, name)


@router.get(
    "/projects/{project}/releases/{name}/files/{file}",
    response_class=FileResponse,
    responses={206: {"description": "The part asked for with `Range`"}, 304: {"description": "Unchanged"}},
)
def file(
    session: DbSession,
    project: ReadProject,
    name: Name,
    file: Annotated[str, Path(max_length=200, examples=["codeocean.train.jsonl"])],
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """A file, streamed. Its `ETag` is the SHA-256 of its content; `Range` is honoured."""
    path = service.file_of(session, project, name, file)
    checksum = sha256_of(path)
    headers = {
        "ETag": f'"{checksum}"',
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(checksum)).decode()}:",
        "Cache-Control": "private, immutable, max-age=31536000",
    }
    if if_none_match is not None and headers["ETag"] in if_none_match:
        return Response(status_code=304, headers=headers)
    return FileResponse(path, headers=headers, filename=file)


def _row(one: ReleaseRun) -> ReleaseRow:
    release, run = one
    return ReleaseRow(
        name=release.name,
        basis=release.basis,
        audit_id=release.audit_id,
        created_at=release.created_at,
        run_id=run.id,
        state=run.state,
        rows=release.rows,
        sha256=release.sha256,
    )

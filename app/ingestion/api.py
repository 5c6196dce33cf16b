"""Sources, of raw code and of finished sets, and snippets over REST."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import File, Form, Path, Query, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from app.ingestion import queries, service
from app.ingestion.descriptions import description_of
from app.ingestion.queries import IngestedSource, LedgerEntry, SnippetFilter
from app.ingestion.readers import AUTO
from app.pipeline import LANGUAGES
from app.web.dependencies import AdminProject, ApiCaller, DbSession, ReadProject
from app.web.idempotency import api_router
from app.web.pagination import AskedWindow, Page, cut

router = api_router(tags=["sources"])

SourceId = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[3])]
SnippetId = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[1042])]


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class StartedIngestion(_Answer):
    """The run that was started; `Location` leads to the whole of it."""

    id: int = Field(description="The run", examples=[12])
    kind: str = Field(examples=["ingest"])
    state: str = Field(examples=["queued"])
    source_id: int = Field(examples=[3])


class SourceAnswer(_Answer):
    id: int = Field(examples=[3])
    kind: str = Field(description="ingest (rows become snippets) or import (instances)", examples=["ingest"])
    name: str = Field(examples=["python_train_0.jsonl.gz"])
    format: str = Field(examples=["codesearchnet"])
    license: str | None = Field(description="For rows that say nothing of their own; null is unknown")
    created_at: datetime
    run_id: int = Field(examples=[12])
    state: str = Field(description="Of the run", examples=["completed"])
    reason: str | None = Field(examples=["nothing new: all 8 functions are in the project already"])
    rows: dict[str, int] = Field(
        description="`added`, or the rule that refused them", examples=[{"added": 310, "no_comment": 52}]
    )

    @classmethod
    def of(cls, found: IngestedSource) -> Self:
        source, run, rows = found
        return cls(
            id=source.id,
            kind=run.kind,
            name=source.name,
            format=source.format,
            license=source.license,
            created_at=source.created_at,
            run_id=run.id,
            state=run.state,
            reason=run.reason,
            rows=rows,
        )


class ExhibitAnswer(_Answer):
    file: str = Field(examples=["python_train_0.jsonl.gz"])
    line: int | None = Field(examples=[812])
    excerpt: str
    why: str = Field(examples=["Expecting ',' delimiter at character 211"])


class LedgerAnswer(_Answer):
    """A rule, how many rows it refused, and at most five of them."""

    rule: str = Field(examples=["broken_line"])
    description: str = Field(examples=["The line is not JSON."])
    rows: int = Field(examples=[2])
    exhibits: list[ExhibitAnswer]

    @classmethod
    def of(cls, entry: LedgerEntry, kind: str) -> Self:
        return cls(
            rule=entry.rule,
            description=description_of(entry.rule, kind),
            rows=entry.rows,
            exhibits=[ExhibitAnswer.model_validate(exhibit) for exhibit in entry.exhibits],
        )


class SnippetAnswer(_Answer):
    id: int = Field(examples=[1042])
    source_id: int
    language: str = Field(examples=["python"])
    name: str = Field(description="The function's, with the classes around it", examples=["Heap.push"])
    comment: str
    code: str
    repo: str = Field(examples=["owner/repository"])
    path: str = Field(examples=["package/heap.py"])
    sha: str = Field(description="Commit or version; empty where the source names none")
    url: str
    license: str | None = Field(description="SPDX; null is unknown", examples=["MIT"])
    content_hash: str = Field(description="SHA-256 of the code with its white space normalised")


@router.post("/projects/{project}/sources", status_code=202)
def add_source(
    session: DbSession,
    project: AdminProject,
    caller: ApiCaller,
    response: Response,
    file: Annotated[
        UploadFile, File(description="CodeSearchNet .jsonl[.gz], Parquet, .zip, .tar.gz or one file")
    ],
    format: Annotated[str, Form(description="auto, codesearchnet, parquet or checkout")] = AUTO,
    license: Annotated[str | None, Form(description="SPDX, for rows that say nothing of their own")] = None,
) -> StartedIngestion:
    """Upload raw code. It is read by a worker; `Location` is the run."""
    run = service.start_ingest_of_upload(
        session, project, file.file, file.filename or "", format, license, caller.person
    )
    response.headers["Location"] = f"/api/v1/projects/{project.slug}/runs/{run.id}"
    source = queries.source_of_run(session, run.id)
    return StartedIngestion(id=run.id, kind=run.kind, state=run.state, source_id=source.id)


@router.get("/projects/{project}/sources")
def sources(session: DbSession, project: ReadProject, asked: AskedWindow) -> Page[SourceAnswer]:
    """Everything that was ingested or imported, the newest first."""
    found, following = cut(
        queries.sources_of(session, project.id, asked.after, asked.limit + 1),
        asked,
        lambda one: one.source.id,
    )
    return Page(items=[SourceAnswer.of(one) for one in found], next=following)


@router.get("/projects/{project}/sources/{source_id}")
def source(session: DbSession, project: ReadProject, source_id: SourceId) -> SourceAnswer:
    """One source and how its rows ended."""
    return SourceAnswer.of(queries.source_of(session, project.id, source_id))


@router.get("/projects/{project}/sources/{source_id}/ledger")
def ledger(session: DbSession, project: ReadProject, source_id: SourceId) -> list[LedgerAnswer]:
    """What the rules refused, the most frequent rule first, with rows to look at."""
    found = queries.source_of(session, project.id, source_id)
    return [LedgerAnswer.of(entry, found.run.kind) for entry in queries.ledger_of(session, found)]


@router.get("/projects/{project}/snippets")
def snippets(
    session: DbSession,
    project: ReadProject,
    asked: AskedWindow,
    language: Annotated[str | None, Query(max_length=40, examples=list(LANGUAGES))] = None,
    license: Annotated[str | None, Query(max_length=200, description="SPDX, or `unknown`")] = None,
    source_id: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    q: Annotated[str | None, Query(max_length=200, description="Text in name, path or repository")] = None,
) -> Page[SnippetAnswer]:
    """Snippets in the order of their arrival."""
    wanted = SnippetFilter(language, license, source_id, q)
    found, following = cut(
        queries.snippets_of(session, project.id, wanted, asked.after, asked.limit + 1),
        asked,
        lambda snippet: snippet.id,
    )
    return Page(items=[SnippetAnswer.model_validate(snippet) for snippet in found], next=following)


@router.get("/projects/{project}/snippets/{snippet_id}")
def snippet(session: DbSession, project: ReadProject, snippet_id: SnippetId) -> SnippetAnswer:
    """One snippet, with its code and where it comes from."""
    return SnippetAnswer.model_validate(queries.snippet_of(session, project.id, snippet_id))

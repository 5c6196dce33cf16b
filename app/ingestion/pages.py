"""The pages of sources: what was ingested, what the rules refused, the snippets."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, File, Form, Path, Query, Request, Response, UploadFile
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from app.errors import InvalidInput
from app.ingestion import queries, service
from app.ingestion.descriptions import description_of
from app.ingestion.queries import SnippetFilter
from app.ingestion.readers import AUTO
from app.pipeline import LANGUAGES, UNFINISHED_RUNS
from app.storage.tables import Project
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role
from app.web.flash import see_other
from app.web.pagination import AskedWindow, Window, cut
from app.web.retry import page_router
from app.web.templating import is_htmx, render

router = page_router()

Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
FORMATS = (
    (AUTO, "Recognise it"),
    ("codesearchnet", "CodeSearchNet .jsonl or .jsonl.gz"),
    ("parquet", "Parquet"),
    ("checkout", "Checkout as .zip or .tar.gz, or one source file"),
)


@router.get("/sources")
def sources(
    request: Request, session: DbSession, project: CurrentProject, asked: AskedWindow
) -> HTMLResponse:
    return render(request, "ingestion/page.html", **_sources(session, project, asked), form={}, errors={})


@router.post("/sources", dependencies=[require_role("admin")])
def add_source(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    file: Annotated[UploadFile | None, File()] = None,
    format: Annotated[str, Form()] = AUTO,
    license: Annotated[str, Form()] = "",
) -> Response:
    try:
        if file is None or not file.filename:
            raise InvalidInput("choose a file", "file")
        run = service.start_ingest_of_upload(
            session, project, file.file, file.filename, format, license.strip(), person
        )
    except InvalidInput as error:
        context = _sources(session, project, Window(None, 50))
        errors = {error.field: str(error)}
        form = {"format": format, "license": license}
        return render(request, "ingestion/page.html", status=422, **context, form=form, errors=errors)
    return see_other(f"/sources/{queries.source_of_run(session, run.id).id}")


def asked_snippets(
    language: Annotated[str, Query(max_length=40)] = "",
    license: Annotated[str, Query(max_length=200)] = "",
    source_id: Annotated[str, Query(pattern=r"^\d{0,18}$")] = "",
    q: Annotated[str, Query(max_length=200)] = "",
) -> SnippetFilter:
    """What the address filters by; empty fields of the form are no filter."""
    return SnippetFilter(
        language or None, license or None, int(source_id) if source_id else None, q.strip() or None
    )


@router.get("/sources/snippets")
def snippets(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    asked: AskedWindow,
    wanted: Annotated[SnippetFilter, Depends(asked_snippets)],
) -> HTMLResponse:
    found, following = cut(
        queries.snippets_of(session, project.id, wanted, asked.after, asked.limit + 1),
        asked,
        lambda snippet: snippet.id,
    )
    names = {
        "language": wanted.language,
        "license": wanted.license,
        "source_id": wanted.source_id,
        "q": wanted.text,
    }
    given = {name: value for name, value in names.items() if value}
    return render(
        request,
        "ingestion/snippets.html",
        snippets=found,
        wanted=wanted,
        languages=LANGUAGES,
        first_href=f"/sources/snippets?{urlencode(given)}" if asked.after else None,
        next_href=f"/sources/snippets?{urlencode(given | {'cursor': following})}" if following else None,
    )


@router.get("/sources/snippets/{snippet_id}")
def snippet(
    request: Request, session: DbSession, project: CurrentProject, snippet_id: Number
) -> HTMLResponse:
    found = queries.snippet_of(session, project.id, snippet_id)
    source = queries.source_of(session, project.id, found.source_id).source
    return render(request, "ingestion/snippet.html", snippet=found, source=source)


@router.get("/sources/{source_id}")
def source(request: Request, session: DbSession, project: CurrentProject, source_id: Number) -> HTMLResponse:
    """The page, or only its moving part for htmx."""
    found = queries.source_of(session, project.id, source_id)
    return render(
        request,
        "ingestion/_ledger.html" if is_htmx(request) else "ingestion/source.html",
        source=found.source,
        run=found.run,
        rows=found.rows,
        total=sum(found.rows.values()),
        ledger=[
            (entry, description_of(entry.rule, found.run.kind)) for entry in queries.ledger_of(session, found)
        ],
        is_open=found.run.state in UNFINISHED_RUNS,
    )


def _sources(session: Session, project: Project, asked: Window) -> dict[str, Any]:
    found, following = cut(
        queries.sources_of(session, project.id, asked.after, asked.limit + 1),
        asked,
        lambda one: one.source.id,
    )
    return {
        "sources": found,
        "by_language": queries.snippets_by_language(session, project.id),
        "formats": FORMATS,
        "next_href": f"/sources?cursor={following}" if following else None,
        "first_href": "/sources" if asked.after else None,
    }

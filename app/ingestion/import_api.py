"""Imports of finished sets over REST. Touches HTTP. The sets stand in `GET .../sources` beside raw code."""

from typing import Annotated

from fastapi import File, Form, Response, UploadFile

from app.ingestion import queries
from app.ingestion.api import StartedIngestion
from app.ingestion.importing import Asked, start_import_of_upload
from app.ingestion.readers import AUTO
from app.pipeline import INSTANCE_LANGUAGES, Task
from app.web.dependencies import AdminProject, ApiCaller, DbSession
from app.web.idempotency import api_router

router = api_router(tags=["imports"])


@router.post("/projects/{project}/imports", status_code=202)
def import_set(
    session: DbSession,
    project: AdminProject,
    caller: ApiCaller,
    response: Response,
    file: Annotated[UploadFile, File(description="JSON lines or one JSON array, plain or .gz")],
    format: Annotated[str, Form(description="auto, codeocean, alpaca or argilla")] = AUTO,
    license: Annotated[str | None, Form(description="SPDX, for rows that say nothing of their own")] = None,
    task: Annotated[
        str | None,
        Form(description=f"Of rows that name none: {', '.join(Task)}; without it generation"),
    ] = None,
    language: Annotated[
        str | None,
        Form(
            description=f"Of rows that name none: {', '.join(INSTANCE_LANGUAGES)}; without it it is recognised"
        ),
    ] = None,
) -> StartedIngestion:
    """Bring a finished instruction set. Its rows become instances that wait for people; `Location` is the run."""
    asked = Asked(format, license, task, language)
    run = start_import_of_upload(session, project, file.file, file.filename or "", asked, caller.person)
    response.headers["Location"] = f"/api/v1/projects/{project.slug}/runs/{run.id}"
    source = queries.source_of_run(session, run.id)
    return StartedIngestion(id=run.id, kind=run.kind, state=run.state, source_id=source.id)

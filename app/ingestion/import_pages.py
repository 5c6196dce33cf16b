"""The page that brings a finished set into a project. Touches the browser."""

from typing import Annotated

from fastapi import File, Form, Request, Response, UploadFile
from fastapi.responses import HTMLResponse

from app.errors import InvalidInput
from app.ingestion.importing import Asked, start_import_of_upload
from app.ingestion.readers import AUTO
from app.pipeline import INSTANCE_LANGUAGES, Task
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role
from app.web.flash import see_other
from app.web.retry import page_router
from app.web.templating import render

router = page_router()

FORMATS = (
    (AUTO, "Recognise it"),
    ("alpaca", "Alpaca: instruction, input, output"),
    ("codeocean", "CodeOcean: task_name, instruction, information, solution"),
    ("argilla", "Argilla export: records with fields, suggestions, responses"),
)
TASKS = (("", "generation"), *((task.value, task.value) for task in Task if task != Task.GENERATION))
LANGUAGES = (("", "Recognise it from the text"), *((name, name) for name in INSTANCE_LANGUAGES))


@router.get("/imports/new", dependencies=[require_role("admin")])
def new_import(request: Request, project: CurrentProject) -> HTMLResponse:
    return _page(request, Asked(), {})


@router.post("/imports/new", dependencies=[require_role("admin")])
def add_import(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    file: Annotated[UploadFile | None, File()] = None,
    format: Annotated[str, Form()] = AUTO,
    license: Annotated[str, Form()] = "",
    task: Annotated[str, Form()] = "",
    language: Annotated[str, Form()] = "",
) -> Response:
    asked = Asked(format, license.strip(), task, language)
    try:
        if file is None or not file.filename:
            raise InvalidInput("choose a file", "file")
        run = start_import_of_upload(session, project, file.file, file.filename, asked, person)
    except InvalidInput as error:
        return _page(request, asked, {error.field: str(error)}, status=422)
    return see_other(f"/runs/{run.id}")


def _page(request: Request, asked: Asked, errors: dict[str | None, str], status: int = 200) -> HTMLResponse:
    return render(
        request,
        "ingestion/import.html",
        status=status,
        formats=FORMATS,
        tasks=TASKS,
        languages=LANGUAGES,
        form=asked,
        errors=errors,
    )

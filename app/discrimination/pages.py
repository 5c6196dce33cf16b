"""The rules and the judge's prompts."""

import json

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.discrimination import prompts
from app.discrimination.rubric import rules_of
from app.pipeline import Task
from app.web.dependencies import CurrentProject
from app.web.templating import render

router = APIRouter()


@router.get("/rules")
def rules_page(request: Request, project: CurrentProject, task: Task = Task.SUMMARIZATION) -> HTMLResponse:
    return render(
        request,
        "discrimination/rules.html",
        tasks=list(Task),
        task=task,
        rules=rules_of(task),
        rule_set=prompts.rules_template(task),
        judge=prompts.template(task),
        schema=json.dumps(prompts.schema(task), indent=2),
    )

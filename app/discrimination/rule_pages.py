"""The rules of a project: read, edited, ordered, tried, retired and switched. Touches the browser; every form works
without JavaScript."""

import json
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Form, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from app.code.difference import changed_lines
from app.code.languages import LANGUAGES
from app.discrimination import prompts, rule_trial, rulebook, service
from app.discrimination.mechanical import CHECKS, EVIDENCE
from app.discrimination.rubric import CheckedBy, Rule, by_a_model
from app.discrimination.rule_forms import RuleForm, form_of, rule_of
from app.discrimination.rulebook import entry_of, in_words, rules_in, weight_of
from app.discrimination.service import Shown
from app.errors import InvalidInput, NotFound
from app.pipeline import Role, Task
from app.storage.replayed import needs_replay
from app.storage.tables import Project
from app.web.dependencies import CurrentPerson, CurrentProject, CurrentRole, DbSession, require_role
from app.web.flash import see_other
from app.web.retry import page_router
from app.web.templating import render

router = page_router()

ADMIN = [require_role("admin")]
Version = Annotated[str | None, Query(max_length=20)]
FormVersion = Annotated[str, Form(max_length=20)]
InstanceNumber = Annotated[int | None, Query(ge=1, le=2**63 - 1)]


@router.get("/rules")
def rules_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    task: Task = Task.SUMMARIZATION,
    version: Version = None,
) -> HTMLResponse:
    """The newest version unless the address names another: it may wait to be put in force."""
    found, force = service.shown(session, project, version), service.rules_in_force(session, project)
    rules = rules_in(found.book, task)
    return render(
        request,
        "discrimination/rules.html",
        tasks=list(Task),
        task=task,
        shown=found,
        force=force,
        to_replay=needs_replay(session, project.id, service.to_replay(force, found)),
        weights=urlencode({f"rule.{one.rule.rule}": weight_of(one) for one in found.book}),
        rules=rules,
        retired=[one.rule for one in found.book if one.retired and task in one.rule.tasks],
        set_hash=service.hashes_of(found.book)[task],
        versions=service.versions(session, project),
        languages=LANGUAGES,
        schema=json.dumps(prompts.schema(by_a_model(rules)), indent=2),
    )


@router.get("/rules/compare")
def compare_rules(
    request: Request, session: DbSession, project: CurrentProject, left: str = "shipped", right: str = ""
) -> HTMLResponse:
    before = service.shown(session, project, left[:20])
    after = service.shown(session, project, right[:20] or None)
    return render(
        request,
        "discrimination/compare_rules.html",
        left=before,
        right=after,
        lines=changed_lines(in_words(before.book), in_words(after.book)),
        versions=service.versions(session, project),
    )


@router.post("/rules/in-force", dependencies=ADMIN)
def switch(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    version: FormVersion,
    task: Annotated[Task, Form()] = Task.SUMMARIZATION,
    without_replay: Annotated[bool, Form()] = False,
) -> Response:
    found = service.switch_rules(session, project, version, person.id, without_replay=without_replay)
    return see_other(
        f"/rules?task={task}&version={found.key}",
        f"In force: {found.label} of the rules. Runs that have started keep theirs.",
    )


@router.get("/rules/new", dependencies=ADMIN)
def new_rule(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    task: Task = Task.SUMMARIZATION,
    version: Version = None,
) -> HTMLResponse:
    found = service.shown(session, project, version)
    return _rule_page(request, RuleForm(tasks=[task]), found, None)


@router.post("/rules/new", dependencies=ADMIN)
def add_rule(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    form: Annotated[RuleForm, Form()],
    version: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    base = service.shown(session, project, version or None)
    try:
        rule = rule_of(form)
        namesakes = [
            one.rule._replace(version=rule.version) for one in base.book if one.rule.rule == rule.rule
        ]
        if namesakes and rule not in namesakes:  # the same twice is one form sent twice
            raise InvalidInput(f"there is a rule {rule.rule} already", "rule")
        saved = service.save_rule(session, project, base, rule, person.id, form.note)
    except InvalidInput as error:
        return _rule_page(request, form, base, None, status=422, errors={error.field or "": str(error)})
    return _saved(saved, rule.tasks[0])


@router.get("/rules/{rule}")
def rule_page(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    role: CurrentRole,
    rule: str,
    version: Version = None,
    instance: InstanceNumber = None,
) -> HTMLResponse:
    found = service.shown(session, project, version)
    entry = entry_of(found.book, rule)
    trial = _trial(session, project, entry.rule, instance, person.id) if role is Role.ADMIN else {}
    return _rule_page(request, form_of(entry.rule), found, entry, **trial)


@router.post("/rules/{rule}", dependencies=ADMIN)
def edit_rule(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    rule: str,
    form: Annotated[RuleForm, Form()],
    version: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    base = service.shown(session, project, version or None)
    entry = entry_of(base.book, rule)
    form.rule = rule
    try:
        saved = service.save_rule(session, project, base, rule_of(form), person.id, form.note)
    except InvalidInput as error:
        return _rule_page(request, form, base, entry, status=422, errors={error.field or "": str(error)})
    return _saved(saved, rule_of(form).tasks[0])


@router.post("/rules/{rule}/retired", dependencies=ADMIN)
def retire_rule(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    rule: str,
    version: FormVersion,
    task: Annotated[Task, Form()] = Task.SUMMARIZATION,
    retired: Annotated[bool, Form()] = True,
) -> Response:
    base = service.shown(session, project, version)
    book = rulebook.with_retired(base.book, rule, retired=retired)
    note = f"{rule} {'retired' if retired else 'taken back'}"
    return _saved(service.save_book(session, project, book, person.id, note), task)


@router.post("/rules/{rule}/place", dependencies=ADMIN)
def move_rule(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    rule: str,
    version: FormVersion,
    step: Annotated[int, Form(ge=-1, le=1)],
    task: Annotated[Task, Form()] = Task.SUMMARIZATION,
) -> Response:
    base = service.shown(session, project, version)
    book = rulebook.moved(base.book, rule, task, step)
    return _saved(service.save_book(session, project, book, person.id, f"{rule} moved"), task)


def _saved(saved: Shown, task: Task) -> Response:
    waits = "" if saved.is_in_force else " It is not in force yet."
    return see_other(f"/rules?task={task}&version={saved.key}", f"Saved: {saved.label}.{waits}")


def _trial(
    session: Session, project: Project, rule: Rule, instance_id: int | None, person_id: int
) -> dict[str, Any]:
    chosen = instance_id or rule_trial.newest_instance(session, project.id, rule)
    if chosen is None:
        return {}
    try:
        return {"trial": rule_trial.try_rule(session, project.id, rule, chosen, person_id)}
    except NotFound as error:
        return {"why_no_trial": str(error), "tried": chosen}


def _rule_page(
    request: Request,
    form: RuleForm,
    found: Shown,
    entry: rulebook.Entry | None,
    *,
    status: int = 200,
    errors: dict[str, str] | None = None,
    **more: Any,
) -> HTMLResponse:
    context: dict[str, Any] = {
        "form": form,
        "shown": found,
        "entry": entry,
        "errors": errors or {},
        "tasks": list(Task),
        "languages": LANGUAGES,
        "checked_by": list(CheckedBy),
        "checks": CHECKS,
        "evidence": EVIDENCE,
        "trial": None,
        "why_no_trial": None,
        "tried": None,
    }
    return render(request, "discrimination/rule.html", status=status, **(context | more))

"""The pages of audits: the list, the form that freezes a lot, and the audit while it is read."""

from hashlib import sha256
from typing import Annotated, Any

from fastapi import Form, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from app.audit import queries, service
from app.audit.asking import AUDITABLE, MOST_ATTEMPTS
from app.audit.course import course
from app.audit.forms import AuditForm, asked, suggested
from app.audit.readings import second_readings
from app.audit.seeing import seen
from app.errors import Conflict, InvalidInput
from app.guarantee.outlook import claimed_test, fixed_plans, outlook
from app.pipeline import INSTANCE_LANGUAGES, AuditState, Census, Task
from app.rows.gates import DEFAULTS, MEANINGS
from app.storage.labels import claim_of
from app.storage.lots import lots_before
from app.storage.tables import Audit, Project
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role
from app.web.errors import refusal_of
from app.web.flash import see_other
from app.web.pagination import LARGEST_KEY, AskedWindow, cut
from app.web.retry import page_router
from app.web.templating import is_htmx, render

router = page_router()

AuditId = Annotated[int, Path(ge=1, le=LARGEST_KEY)]


@router.get("/audits")
def audits(request: Request, session: DbSession, project: CurrentProject, asked: AskedWindow) -> HTMLResponse:
    found, following = cut(
        queries.audits_of(session, project.id, asked.after, asked.limit + 1), asked, lambda audit: audit.id
    )
    rows = [seen(session, audit) for audit in found]
    return render(
        request,
        "audit/page.html",
        rows=[(one, outlook(claim_of(one.audit), one.standing)) for one in rows],
        next_cursor=following,
    )


@router.get("/audits/new", dependencies=[require_role("admin")])
def new_audit(
    request: Request, session: DbSession, project: CurrentProject, form: Annotated[AuditForm, Query()]
) -> HTMLResponse:
    """The form with what freezing now would give; asked again whenever a field changes."""
    template = "audit/_form.html" if is_htmx(request) else "audit/new.html"
    if "max_defect_rate" not in request.query_params:  # the form itself was not sent: a link names a run
        form = suggested(form.run, queries.newest_audit(session, project.id))
    return render(request, template, **_form(session, project, form))


@router.post("/audits/new", dependencies=[require_role("admin")])
def freeze(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    form: Annotated[AuditForm, Form()],
) -> Response:
    newest = queries.newest_audit(session, project.id, lock=True)
    try:
        if newest != form.newest:
            raise Conflict(
                f"Audit {newest} was frozen since this form was opened, perhaps by it. What shares rows with an"
                " earlier audit says so for good: look at that one first, then freeze again if it is still wanted."
            )
        audit = service.freeze_lot(session, project, asked(form), person)
    except (InvalidInput, Conflict) as error:
        context = _form(session, project, form.model_copy(update={"newest": newest}))
        field = (error.field if isinstance(error, InvalidInput) else None) or ""
        context["errors"] = {field: str(error)}
        return render(request, "audit/new.html", status=refusal_of(error).status, **context)
    return see_other(f"/audits/{audit.id}", f"The lot is frozen: {audit.rows:,} rows to draw from.")


@router.get("/audits/{audit_id}")
def audit(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    audit_id: AuditId,
    shown: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """The page; for htmx only what moves, and nothing where that is `shown` already."""
    found = queries.audit_named(session, audit_id, project.id)
    context = _live(session, found)
    if not is_htmx(request):
        return render(request, "audit/audit.html", **context, **_fixed(session, found))
    if shown == context["shown"]:
        return Response(status_code=204)
    return render(request, "audit/_live.html", **context, numbers_too=True)


@router.post("/audits/{audit_id}/abandon", dependencies=[require_role("admin")])
def abandon(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    audit_id: AuditId,
    why: Annotated[str, Form(max_length=service.LONGEST_WHY)] = "",
) -> Response:
    service.abandon(session, audit_id, project.id, why, person)
    return see_other(f"/audits/{audit_id}", "The audit is abandoned. It stays on record.")


def _form(session: Session, project: Project, form: AuditForm) -> dict[str, Any]:
    """The form, its errors, and where it has none what freezing would give."""
    errors: dict[str, str] = {}
    preview = None
    try:
        preview = service.preview(session, project, asked(form))
    except InvalidInput as error:
        errors[error.field or ""] = str(error)
    return {
        "form": form,
        "errors": errors,
        "preview": preview,
        "gates": [(gate, MEANINGS[gate]) for gate in DEFAULTS],
        "tasks": [task.value for task in Task],
        "languages": INSTANCE_LANGUAGES,
        "statuses": [status.value for status in AUDITABLE],
        "census": Census,
        "most_attempts": MOST_ATTEMPTS,
    }


def _live(session: Session, audit: Audit) -> dict[str, Any]:
    """What changes while it is read."""
    one = seen(session, audit)
    standing = one.standing
    claim = claim_of(audit)
    changes = queries.label_changes(session, audit.id)
    moving = (
        standing.state,
        standing.draws,
        standing.found,
        standing.early,
        standing.disputed,
        standing.half_read,
        standing.census_read,
        standing.census_removed,
        len(changes),
        len(one.rows),
    )
    return {
        "audit": audit,
        "standing": standing,
        "is_open": standing.state == AuditState.OPEN,
        "claim": claim,
        "outlook": outlook(claim, standing),
        "plans": fixed_plans(claimed_test(claim, standing.census_removed)),
        "readers": second_readings(one.rows, audit.alpha),
        "points": course(standing),
        "bounds": standing.upper_bounds.tolist(),
        "changes": changes,
        "corrected": sum(row.corrected_by is not None for row in one.rows),
        "removed": sum(row.is_removed for row in one.rows),
        "shown": sha256(repr(moving).encode()).hexdigest(),
    }


def _fixed(session: Session, audit: Audit) -> dict[str, Any]:
    return {
        "earlier": lots_before(session, audit),
        "frozen_by": queries.name_of(session, audit.person_id),
        "releases": queries.releases_from(session, audit.id),
    }

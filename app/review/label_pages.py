"""Labels of an audit that administrators change: two readings side by side, and a defect that is found later. Touches the browser; every form works without JavaScript."""

from typing import Annotated, NamedTuple

from fastapi import Form, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.code.difference import changed_lines
from app.errors import Conflict, DomainError, Forbidden, InvalidInput
from app.review import audit_labels, audit_queries, queries
from app.review.blind import blind_reading
from app.review.desk import Number, adjudicators
from app.review.fields import fields_of
from app.review.judgement import Text
from app.review.revisions import text_at
from app.storage.tables import Decision, Instance, LotRow, Person, Project
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession
from app.web.errors import refusal_of
from app.web.flash import see_other
from app.web.forms import typed
from app.web.retry import page_router
from app.web.templating import render

router = page_router()

Note = Annotated[str, Form()]


class Said(NamedTuple):
    """One reading, with the text it left."""

    decision: Decision
    person: str
    text: Text


@router.get("/adjudication/audits/{audit_id}/{instance_id}", dependencies=adjudicators)
def dispute(
    request: Request, session: DbSession, project: CurrentProject, audit_id: Number, instance_id: Number
) -> HTMLResponse:
    return _show(request, session, _row(session, project, audit_id, instance_id))


@router.post("/adjudication/audits/{audit_id}/{instance_id}", dependencies=adjudicators)
def adjudicate(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    audit_id: Number,
    instance_id: Number,
    choice: Annotated[str, Form()],
    note: Note = "",
) -> Response:
    """`choice`: ok or defect."""
    row = _row(session, project, audit_id, instance_id)
    note = typed(note)
    try:
        if choice not in ("ok", "defect"):
            raise InvalidInput("say ok or defect", "choice")
        audit_labels.adjudicate(session, person, audit_id, instance_id, choice == "defect", note)
    except (Conflict, Forbidden, InvalidInput) as error:
        return _show(request, session, row, note, error)
    said = "a defect" if choice == "defect" else "ok"
    return see_other("/adjudication", f"Instance {instance_id} is {said} in audit {audit_id}")


@router.post("/instances/{instance_id}/audits/{audit_id}/defect", dependencies=adjudicators)
def find_later(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    instance_id: Number,
    audit_id: Number,
    note: Note = "",
) -> Response:
    """Sent by the form on the instance's page."""
    _row(session, project, audit_id, instance_id)
    try:
        audit_labels.find_later(session, person, audit_id, instance_id, typed(note))
    except (Conflict, InvalidInput) as error:
        return see_other(f"/instances/{instance_id}", f"Nothing was stored: {error}", "bad")
    return see_other(f"/instances/{instance_id}", f"It counts as a defect of audit {audit_id} now")


def _row(session: Session, project: Project, audit_id: int, instance_id: int) -> LotRow:
    audit_queries.audit_in(session, project.id, audit_id)
    return audit_queries.lot_row(session, audit_id, instance_id)


def _said(session: Session, row: LotRow, instance: Instance) -> list[Said]:
    """The first reading first."""
    answers = audit_queries.answers(session, row)
    names = select(Person.id, Person.name).where(Person.id.in_({one.person_id for one in answers}))
    name_of = {person_id: name for person_id, name in session.execute(names)}
    return [
        Said(one, name_of[one.person_id], text_at(session, instance, one.new_revision or one.revision))
        for one in answers
    ]


def _show(
    request: Request, session: Session, row: LotRow, note: str = "", error: DomainError | None = None
) -> HTMLResponse:
    instance = session.get_one(Instance, row.instance_id)
    given = text_at(session, instance, row.revision)
    found = audit_labels.labelled(session, row.audit_id, row.instance_id)
    return render(
        request,
        "review/audit_dispute.html",
        status=refusal_of(error).status if error else 200,
        row=row,
        found=found,
        reading=blind_reading(queries.reading(session, instance), given),
        said=_said(session, row, instance) if found else [],
        given=given,
        fields=fields_of(instance.task, instance.language, instance.target_language),
        note=note,
        error=error,
        changed_lines=changed_lines,
    )

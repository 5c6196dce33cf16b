"""What readers disagree about, side by side, and the adjudicator's word. Touches the browser; every form works without JavaScript."""

from typing import Annotated, Any

from fastapi import Depends, Form, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from app.code.difference import changed_lines
from app.errors import Conflict, DomainError, InvalidInput
from app.pipeline import Action
from app.review import adjudication, audit_labels, decision_queries, queries
from app.review.desk import Number, adjudicators
from app.review.fields import fields_of
from app.review.judgement import EDITABLE, PAST, Judgement, Text
from app.review.revisions import text_of
from app.storage.tables import Instance, Project
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession
from app.web.errors import refusal_of
from app.web.flash import see_other
from app.web.forms import typed
from app.web.pagination import AskedWindow, cut
from app.web.retry import page_router
from app.web.templating import render

router = page_router()

SEND_BACK = "send_back"


@router.get("/adjudication", dependencies=adjudicators)
def disputes(
    request: Request, session: DbSession, project: CurrentProject, asked: AskedWindow
) -> HTMLResponse:
    found = adjudication.disputes(session, project.id, asked.after, asked.limit + 1)
    rows, following = cut(found, asked, lambda row: row.id)
    return render(
        request,
        "review/adjudication.html",
        rows=rows,
        counts=adjudication.counts(session, project.id),
        labels=[] if asked.after else audit_labels.disputes(session, project.id),
        next_href=f"/adjudication?cursor={following}" if following else None,
        first_href="/adjudication" if asked.after else None,
    )


@router.get("/adjudication/{instance_id}", dependencies=adjudicators)
def dispute(
    request: Request, session: DbSession, project: CurrentProject, instance_id: Number
) -> HTMLResponse:
    row = queries.instance_in(session, project.id, instance_id)
    return _show(request, session, project, row)


async def _edits(request: Request) -> Text:
    form = await request.form()
    return Text(**{name: typed(str(form.get(name, ""))) for name in EDITABLE})


@router.post("/adjudication/{instance_id}", dependencies=adjudicators)
def adjudicate(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    instance_id: Number,
    text: Annotated[Text, Depends(_edits)],
    choice: Annotated[str, Form()],
    seen: Annotated[int, Form(ge=0, le=2**63 - 1)],
    reason: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> Response:
    """`choice`: accept, reject, edit (the text of the form), take.N (reader N's answer) or send_back."""
    row = queries.instance_in(session, project.id, instance_id)
    note = typed(note)
    try:
        if choice == SEND_BACK:
            adjudication.send_back(session, person, row.id, note, seen)
            return see_other("/adjudication", f"Instance {row.id} is read anew")
        judgement = _judgement(session, row, choice, text, reason or None, note)
        adjudication.adjudicate(session, person, row.id, judgement, seen)
    except (Conflict, InvalidInput) as error:
        entered = {"text": text if choice == Action.EDIT else None, "reason": reason, "note": note}
        return _show(request, session, project, row, error=error, **entered)
    return see_other("/adjudication", f"Instance {row.id} {PAST[judgement.action]}")


def _judgement(
    session: Session, row: Instance, choice: str, text: Text, reason: str | None, note: str
) -> Judgement:
    """The adjudicator's own word, or a reader's that they make theirs."""
    if choice in (Action.ACCEPT, Action.REJECT):
        return Judgement(Action(choice), reason, note, {}, {})
    if choice == Action.EDIT:
        return Judgement(Action.EDIT, reason, note, text._asdict(), {})
    taken = {f"take.{one.decision.id}": one for one in decision_queries.opinions(session, row)}.get(choice)
    if taken is None:
        raise InvalidInput("choose one of the readers' answers, or decide yourself", "choice")
    decision = taken.decision
    changed = taken.opinion.text != text_of(row)
    action = Action.REJECT if decision.action == Action.REJECT else Action.EDIT if changed else Action.ACCEPT
    edits = taken.opinion.text._asdict() if action is Action.EDIT else {}
    return Judgement(
        action, reason or decision.reason, note, edits, decision_queries.overrides_of(session, decision.id)
    )


def _show(
    request: Request,
    session: Session,
    project: Project,
    row: Instance,
    *,
    error: DomainError | None = None,
    **entered: Any,
) -> HTMLResponse:
    """`entered`: text, reason and note of a form that was refused."""
    standing = decision_queries.opinions(session, row)
    return render(
        request,
        "review/dispute.html",
        status=refusal_of(error).status if error else 200,
        **({"text": None, "reason": "", "note": ""} | entered),
        error=error,
        reading=queries.reading(session, row),
        present=text_of(row),
        opinions=standing,
        disagreeing=adjudication.disagreeing(standing),
        kept=[one for one in standing if one.opinion.action != Action.REJECT],
        overrides={
            one.decision.id: decision_queries.overrides_of(session, one.decision.id) for one in standing
        },
        skips=decision_queries.skips(session, row),
        seen=adjudication.newest_answer(session, row.id),
        reasons=project.reasons,
        past=PAST,
        fields=fields_of(row.task, row.language, row.target_language),
        changed_lines=changed_lines,
    )

"""The review screen of an audit: blind, ok or defect first, an edit after. Touches the browser; every form works without JavaScript.

There is no skip, no undo and no draft here, and no card is fetched ahead.
"""

from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse

from app.code.difference import changed_lines
from app.errors import Conflict, DomainError, InvalidInput
from app.guarantee.outlook import Outlook, outlook
from app.pipeline import Action, Part
from app.review import audit_queries, audit_stream, queries
from app.review.assignment import LEASE_MINUTES
from app.review.audit_queries import Draw
from app.review.blind import blind_reading
from app.review.desk import AskedDesk, Desk, Number, guideline_of, readers, streams_of
from app.review.draws import Answer, NothingToRead, checked_label
from app.review.fields import fields_of
from app.review.judgement import EDITABLE, Judgement
from app.review.queries import Reading
from app.review.revisions import text_at
from app.storage.labels import claim_of, standing_of
from app.storage.tables import Audit, LotRow
from app.web.errors import refusal_of
from app.web.flash import see_other
from app.web.forms import typed
from app.web.retry import page_router
from app.web.templating import is_htmx, render

router = page_router()

OK, DEFECT = "ok", "defect"
CORRECT, LEAVE_OUT, EDIT = "correct", "leave_out", "edit"


class Sent(NamedTuple):
    """A form that came in. `choice`: ok and leave_out are answers, edit saves the text under the answer that was
    given before; defect and correct go on to the second question, what becomes of a defect."""

    choice: str
    answer: Answer
    lease: str

    @property
    def judgement(self) -> Judgement:
        return self.answer.judgement


async def _sent(
    request: Request,
    choice: Annotated[str, Form()],
    answer: Annotated[str, Form()] = OK,
    lease: Annotated[str, Form()] = "",
) -> Sent:
    form = {name: typed(value) for name, value in (await request.form()).items() if isinstance(value, str)}
    is_defect = choice in (DEFECT, CORRECT, LEAVE_OUT) or (choice == EDIT and answer == DEFECT)
    actions = {EDIT: Action.EDIT, LEAVE_OUT: Action.REJECT}
    edits = {name: form[name] for name in EDITABLE if name in form} if choice == EDIT else {}
    reason = form.get("reason") if is_defect else None  # one that was chosen, and then it was ok after all
    judgement = Judgement(actions.get(choice, Action.ACCEPT), reason, form.get("note", ""), edits, {})
    return Sent(choice, Answer(is_defect, judgement), lease)


AskedAnswer = Annotated[Sent, Depends(_sent)]
AskedAudit = Annotated[int | None, Query(alias="audit", ge=1, le=2**63 - 1)]


@router.post("/review/audits/{audit_id}/{instance_id}/answer", dependencies=readers)
def answer(
    desk: AskedDesk, audit_id: Number, instance_id: Number, sent: AskedAnswer, asked: AskedAudit = None
) -> Response:
    row = _row(desk, audit_id, instance_id)
    try:
        if sent.choice in (DEFECT, CORRECT):
            checked_label(sent.answer, desk.project.reasons)
            return _show(desk, asked, row=row, lease=sent.lease, sent=sent)
        if sent.choice not in (OK, LEAVE_OUT, EDIT):
            raise InvalidInput("say ok or defect", "choice")
        audit_stream.decide(desk.session, desk.person, instance_id, sent.lease, sent.answer, desk.project.id)
    except (Conflict, InvalidInput) as error:
        held = "" if isinstance(error, Conflict) else sent.lease
        return _show(desk, asked, row=row, lease=held, sent=sent, error=error)
    return next_card(desk, asked) if is_htmx(desk.request) else see_other(f"/review{query_of(asked)}")


@router.post("/review/audits/{audit_id}/{instance_id}/renew", dependencies=readers, status_code=204)
def renew(desk: AskedDesk, audit_id: Number, instance_id: Number, lease: Annotated[str, Form()]) -> None:
    """Sent by the lease clock while somebody is reading."""
    _row(desk, audit_id, instance_id)
    audit_stream.renew(desk.session, desk.person, audit_id, instance_id, lease)


def next_card(desk: Desk, asked: int | None) -> HTMLResponse:
    """`asked`: the number of the audit; None for the oldest that has a draw for this person."""
    found = audit_stream.next_draw(desk.session, desk.project, desk.person, audit_id=asked)
    if isinstance(found, Draw):
        return _show(desk, asked, row=found.row, lease=found.lease.token)
    return _show(desk, asked, why=found)


def query_of(asked: int | None) -> str:
    return "?stream=audit" + (f"&audit={asked}" if asked else "")


def _row(desk: Desk, audit_id: int, instance_id: int) -> LotRow:
    audit_queries.audit_in(desk.session, desk.project.id, audit_id)
    return audit_queries.lot_row(desk.session, audit_id, instance_id)


class Shown(NamedTuple):
    """The head of the card: which draw it is, and how far the audit is."""

    audit: Audit
    outlook: Outlook
    draws: int  # that count
    part: str
    position: int
    of: int  # rows of the part


def _shown(desk: Desk, row: LotRow) -> Shown:
    audit = audit_queries.audit_in(desk.session, desk.project.id, row.audit_id)
    found = standing_of(desk.session, audit)
    of = audit.rows if row.part == Part.RANDOM else audit.census_rows
    return Shown(audit, outlook(claim_of(audit), found), found.draws, row.part, row.position, of)


def _reading(desk: Desk, row: LotRow) -> Reading:
    instance = queries.instance_in(desk.session, desk.project.id, row.instance_id)
    reading = queries.reading(desk.session, instance)
    return blind_reading(reading, text_at(desk.session, instance, row.revision))


def _show(
    desk: Desk,
    asked: int | None,
    *,
    row: LotRow | None = None,
    lease: str = "",
    sent: Sent | None = None,
    why: NothingToRead | None = None,
    error: DomainError | None = None,
) -> HTMLResponse:
    """The screen, or only its card for htmx. A `row` without a `lease` is somebody else's by now."""
    only_card = is_htmx(desk.request)
    is_defect = sent is not None and bool(sent.answer.defect)
    refused_reason = isinstance(error, InvalidInput) and error.field == "reason"
    context: dict[str, Any] = {
        "reading": None if row is None else _reading(desk, row),
        "shown": None if row is None else _shown(desk, row),
        "guideline": None if only_card else guideline_of(desk.session, desk.project, desk.person),
        "streams": () if only_card else streams_of(desk, asked if row is None else row.audit_id),
    }
    return render(
        desk.request,
        "review/_audit_card.html" if only_card else "review/audit_page.html",
        status=refusal_of(error).status if error else 200,
        **context,
        lease=lease,
        sent=sent,
        is_defect=is_defect and not refused_reason,
        editing=sent.choice in (CORRECT, EDIT) if sent else "edit" in desk.request.query_params,
        why=why,
        error=error,
        asked=asked,
        query=query_of(asked),
        lease_seconds=LEASE_MINUTES * 60,
        fields_of=fields_of,
        changed_lines=changed_lines,
    )

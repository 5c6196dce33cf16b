"""The review screen: the card, decisions, undo and the guideline. Every form works without JavaScript."""

from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from app.code.difference import changed_lines
from app.errors import Conflict, DomainError, InvalidInput
from app.pipeline import Action, InstanceStatus, Stream
from app.review import decision_queries, drafts, draw_pages, leases, queries, service, work_queue
from app.review.assignment import LEASE_MINUTES, WhyEmpty
from app.review.desk import CHOICES, AskedDesk, Desk, Number, guideline_of, query_of, readers, streams_of
from app.review.drafts import SavedElsewhere, Typed
from app.review.fields import fields_of
from app.review.judgement import EDITABLE, PAST, Judgement, Text
from app.review.warnings import in_words
from app.storage.tables import Decision, Draft, Instance
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession
from app.web.errors import refusal_of
from app.web.flash import see_other
from app.web.forms import typed
from app.web.retry import page_router
from app.web.templating import is_htmx, render

router = page_router()


class Sent(NamedTuple):
    """A form that came in. `again`: take the instance anew first, its lease was lost.

    `ahead`: the instance whose card, fetched before, is on screen already.
    """

    judgement: Judgement
    lease: str
    again: bool
    ahead: int | None = None


async def _sent(
    request: Request,
    action: Annotated[Action, Form()],
    lease: Annotated[str, Form()] = "",
    ahead: Annotated[int | None, Form(ge=1, le=2**63 - 1)] = None,
) -> Sent:
    form = {name: typed(value) for name, value in (await request.form()).items() if isinstance(value, str)}
    edits = {name: form[name] for name in EDITABLE if name in form} if action == Action.EDIT else {}
    rules = {name[5:]: value for name, value in form.items() if name.startswith("rule.")}
    judgement = Judgement(action, form.get("reason"), form.get("note", ""), edits, rules)
    return Sent(judgement, lease, "again" in form, ahead)


AskedDecision = Annotated[Sent, Depends(_sent)]


# --- the card ---------------------------------------------------------------------------------------------


@router.get("/review", dependencies=readers)
def review(
    desk: AskedDesk,
    stream: Stream = Stream.WORK,
    audit: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> HTMLResponse:
    """The next card; `audit` without a number is the oldest that has a draw."""
    return draw_pages.next_card(desk, audit) if stream is Stream.AUDIT else _next(desk)


@router.post("/review/ahead", dependencies=readers)
def ahead(desk: AskedDesk, shown: Annotated[int, Form(ge=1, le=2**63 - 1)]) -> Response:
    """The card after the one on screen, held from now on: asked for by the script while somebody reads."""
    answer = leases.next_card(desk.session, desk.project, desk.person, beside=shown, filters=desk.filters)
    if isinstance(answer, WhyEmpty):
        return Response(status_code=204)
    return _show(desk, reading=_reading(desk, answer.instance), lease=answer.lease)


@router.get("/review/decided/{decision_id}", dependencies=readers)
def decided(desk: AskedDesk, decision_id: Number) -> HTMLResponse:
    """One of one's own last decisions, to look at and to take back."""
    decision = decision_queries.decision_of(desk.session, decision_id, desk.person.id)
    leases.demand_not_blind(desk.session, desk.person.id, decision.instance_id)
    row = queries.instance(desk.session, decision.instance_id)
    return _show(
        desk,
        reading=_reading(desk, row, decision),
        decision=decision,
        overrides=decision_queries.overrides_of(desk.session, decision_id),
    )


@router.post("/review/{instance_id}/decide", dependencies=readers)
def decide(desk: AskedDesk, instance_id: Number, sent: AskedDecision) -> Response:
    token = sent.lease
    try:
        if sent.again:
            row = queries.instance_in(desk.session, desk.project.id, instance_id)
            token = leases.take(desk.session, desk.person, row.id).lease.token
        service.decide(desk.session, desk.person, instance_id, token, sent.judgement, desk.project.id)
    except (Conflict, InvalidInput) as error:
        return _refused(desk, instance_id, sent, error)
    if sent.ahead is not None:
        return _stored(desk, sent.ahead)
    return _next(desk) if is_htmx(desk.request) else see_other(f"/review{query_of(desk.filters)}")


@router.post("/review/undo/{decision_id}", dependencies=readers)
def undo(desk: AskedDesk, decision_id: Number) -> Response:
    service.undo(desk.session, desk.person, decision_id)
    return _next(desk) if is_htmx(desk.request) else see_other(f"/review{query_of(desk.filters)}")


async def _typed(
    request: Request,
    version: Annotated[int, Form(ge=0, le=2**31)] = 0,
    revision: Annotated[int, Form(ge=0, le=2**31)] = 0,
) -> Typed:
    """The fields of the editor, and the note."""
    form = await request.form()
    texts = {name: typed(str(form.get(name, ""))) for name in (*EDITABLE, "note")}
    note = texts.pop("note")
    return Typed(Text(**texts), note, version, revision)


def _shown_draft(draft: Draft) -> dict[str, Any]:
    texts = {name: getattr(draft, name) for name in (*EDITABLE, "note")}
    return {"version": draft.version, "saved_at": draft.saved_at.isoformat(), "texts": texts}


@router.post("/review/{instance_id}/draft", dependencies=readers)
def keep_draft(
    desk: AskedDesk,
    instance_id: Number,
    sent: Annotated[Typed, Depends(_typed)],
    lease: Annotated[str, Form()] = "",
) -> Response:
    """Sent by the editor while somebody types; by a button where there is no JavaScript."""
    row = queries.instance_in(desk.session, desk.project.id, instance_id)
    by_script = "application/json" in desk.request.headers.get("accept", "")
    try:
        draft = drafts.keep_draft(desk.session, desk.person.id, row.id, sent)
    except (Conflict, InvalidInput) as error:
        if by_script:
            other = _shown_draft(error.draft) if isinstance(error, SavedElsewhere) else None
            return JSONResponse({"detail": str(error), "other": other}, refusal_of(error).status)
        edit = Judgement(Action.EDIT, None, sent.note, sent.text._asdict(), {})
        return _refused(desk, row.id, Sent(edit, lease, again=False), error)
    if by_script:
        return JSONResponse({"version": draft.version, "saved_at": draft.saved_at.isoformat()})
    # Where the lease is lost, the next card is another one: say that the text is kept all the same.
    return see_other(f"/review{query_of(desk.filters)}", f"Draft of instance {row.id} saved")


@router.post("/review/{instance_id}/draft/discard", dependencies=readers)
def discard_draft(desk: AskedDesk, instance_id: Number) -> Response:
    row = queries.instance_in(desk.session, desk.project.id, instance_id)
    drafts.drop_draft(desk.session, desk.person.id, row.id)
    if is_htmx(desk.request):
        return _next(desk)
    is_open = row.status == InstanceStatus.WAITING  # otherwise the form stood on the instance's page
    return see_other(f"/review{query_of(desk.filters)}" if is_open else f"/instances/{row.id}")


@router.post("/review/{instance_id}/renew", dependencies=readers, status_code=204)
def renew(desk: AskedDesk, instance_id: Number, lease: Annotated[str, Form()]) -> None:
    """Sent by the lease clock while somebody is reading."""
    leases.keep_held(desk.session, desk.project.id, desk.person.id)
    leases.renew(desk.session, desk.person, instance_id, lease)


def _next(desk: Desk) -> HTMLResponse:
    answer = leases.next_card(desk.session, desk.project, desk.person, filters=desk.filters)
    if isinstance(answer, WhyEmpty):
        return _show(desk, why=answer)
    return _show(desk, reading=_reading(desk, answer.instance), lease=answer.lease)


def _stored(desk: Desk, shown: int) -> HTMLResponse:
    """What a decision changed on the card that is on screen by now, and the card after that one."""
    answer = leases.next_card(desk.session, desk.project, desk.person, beside=shown, filters=desk.filters)
    found: dict[str, Any] = {}
    if not isinstance(answer, WhyEmpty):
        found = {"reading": _reading(desk, answer.instance), "lease": answer.lease}
    return _show(desk, template="review/_stored.html", **found)


def _refused(desk: Desk, instance_id: int, sent: Sent, error: DomainError) -> HTMLResponse:
    """The same card with all that was typed, and what was wrong."""
    leases.demand_not_blind(desk.session, desk.person.id, instance_id)
    row = queries.instance(desk.session, instance_id)
    sent = sent._replace(again=sent.again or isinstance(error, Conflict))
    return _show(
        desk,
        status=refusal_of(error).status,
        reading=_reading(desk, row),
        sent=sent,
        overrides=sent.judgement.rules,
        error=error,
    )


def _reading(desk: Desk, row: Instance, decision: Decision | None = None) -> queries.Reading:
    return queries.reading(desk.session, row, decision, reader_id=desk.person.id)


def _show(desk: Desk, *, status: int = 200, template: str | None = None, **found: Any) -> HTMLResponse:
    """The screen, or only its card for htmx. `found`: reading, lease, decision, overrides, why, sent, error."""
    nothing = dict.fromkeys(("reading", "lease", "decision", "overrides", "why", "sent", "error"))
    progress = work_queue.progress(desk.session, desk.project.id, desk.person.id)
    decision, sent, reading = found.get("decision"), found.get("sent"), found.get("reading")
    draft = None
    if reading is not None and decision is None and reading.instance.status == InstanceStatus.WAITING:
        draft = reading.draft
    asked_to_edit = draft is not None or "edit" in desk.request.query_params
    only_card = is_htmx(desk.request)
    return render(
        desk.request,
        template or ("review/_card.html" if only_card else "review/page.html"),
        status=status,
        **(nothing | found),
        draft=draft,
        editing=sent.judgement.action == Action.EDIT if sent else asked_to_edit,
        steps=decision_queries.steps_from(progress.recent, decision.id if decision else None),
        recent=progress.recent,
        progress=progress,
        filters=desk.filters,
        query=query_of(desk.filters),
        choices=CHOICES,
        lease_seconds=LEASE_MINUTES * 60,
        streams=() if only_card else streams_of(desk),
        guideline=None if only_card else guideline_of(desk.session, desk.project, desk.person),
        past=PAST,
        fields_of=fields_of,
        changed_lines=changed_lines,
        warned=reading.warnings if reading else [],
        warning_lines=in_words,
    )


# --- the guideline ----------------------------------------------------------------------------------------


@router.get("/review/guideline")
def guideline(
    request: Request, session: DbSession, project: CurrentProject, person: CurrentPerson
) -> HTMLResponse:
    return render(request, "review/guideline.html", guideline=guideline_of(session, project, person))


@router.post("/review/guideline/seen", dependencies=readers)
def guideline_seen(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    version: Annotated[int, Form(ge=1, le=2**31)],
) -> Response:
    service.keep_guideline_seen(session, project.id, person.id, version)
    return see_other("/review")

"""The list of instances and the history of one. Touches the browser, and reads."""

from typing import Annotated

from fastapi import Path, Request
from fastapi.responses import HTMLResponse

from app.code.difference import changed_lines
from app.pipeline import Role
from app.review import audit_labels, drafts, history, queries
from app.review.blind import draw_in_hand, ids_in_hand
from app.review.desk import CHOICES, AskedFilters, query_of
from app.review.fields import fields_of
from app.review.filters import count_of, instance_rows
from app.review.history import Viewer
from app.review.timeline import stage_words, timeline
from app.review.warnings import in_words
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession
from app.web.pagination import AskedWindow, cut
from app.web.retry import page_router
from app.web.templating import is_htmx, render

router = page_router()


@router.get("/instances")
def instances(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    filters: AskedFilters,
    asked: AskedWindow,
) -> HTMLResponse:
    """The filter stands in the address, so that a list can be sent to somebody."""
    blind = ids_in_hand(session, person.id)
    rows, following = cut(
        instance_rows(
            session, project.id, filters, after=asked.after or 0, limit=asked.limit + 1, blind=blind
        ),
        asked,
        lambda row: row.id,
    )
    query = query_of(filters)
    return render(
        request,
        "review/_instances.html" if is_htmx(request) else "review/instances.html",
        rows=rows,
        total=count_of(session, project.id, filters, blind),
        filters=filters,
        query=query,
        choices=CHOICES,
        first_href=f"/instances{query}" if asked.after else None,
        next_href=f"/instances{query}{'&' if query else '?'}cursor={following}" if following else None,
    )


@router.get("/instances/{instance_id}")
def instance(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    instance_id: Annotated[int, Path(ge=1, le=2**63 - 1)],
) -> HTMLResponse:
    """Everything that happened to one instance."""
    queries.instance_in(session, project.id, instance_id)
    is_admin = request.state.role is Role.ADMIN
    detail = history.instance_detail(session, instance_id, Viewer(person.name, is_admin, person.id))
    blind = draw_in_hand(session, person.id, instance_id)
    return render(
        request,
        "review/instance.html",
        instance=detail,
        draft=drafts.draft_of(session, person.id, instance_id),
        blind=blind,
        read_as_ok=audit_labels.read_as_ok(session, instance_id) if is_admin and not blind else [],
        events=timeline(detail),
        shown=fields_of(detail.task, detail.language, detail.target_language),
        stage_words=stage_words,
        changed_lines=changed_lines,
        warning_lines=in_words,
    )

"""Who sits at which page of the review, and through which filter they look. Touches the browser's request."""

from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Path, Query, Request
from sqlalchemy.orm import Session

from app.pipeline import INSTANCE_LANGUAGES, InstanceStatus, Task, Verdict
from app.review import decision_queries
from app.review.audit_queries import open_audits
from app.review.filters import Filters
from app.review.guideline import guideline_html
from app.storage.tables import Person, Project
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role

readers = [require_role("annotator")]
adjudicators = [require_role("admin")]

Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
CHOICES = {
    "status": list(InstanceStatus),
    "task": list(Task),
    "language": list(INSTANCE_LANGUAGES),
    "verdict": list(Verdict),
}


def asked_filters(
    status: Annotated[str, Query(max_length=40)] = "",
    task: Annotated[str, Query(max_length=40)] = "",
    language: Annotated[str, Query(max_length=40)] = "",
    verdict: Annotated[str, Query(max_length=40)] = "",
    q: Annotated[str, Query(max_length=200)] = "",
    reason: Annotated[str, Query(max_length=100)] = "",
) -> Filters:
    """What the address filters by; empty fields of the form are no filter."""
    asked = (status, task, language, verdict, q.strip(), reason)
    return Filters(*(value or None for value in asked))


AskedFilters = Annotated[Filters, Depends(asked_filters)]


def query_of(filters: Filters) -> str:
    """`?task=repair`, or nothing."""
    given = {name: value for name, value in filters._asdict().items() if value}
    return f"?{urlencode(given)}" if given else ""


class Desk(NamedTuple):
    """Who reads what through which filter."""

    request: Request
    session: Session
    project: Project
    person: Person
    filters: Filters


def _desk(
    request: Request,
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    filters: AskedFilters,
) -> Desk:
    return Desk(request, session, project, person, filters)


AskedDesk = Annotated[Desk, Depends(_desk)]


# --- what every card stands beside ------------------------------------------------------------------------


class ShownGuideline(NamedTuple):
    """What the project asks of its readers; `unseen`: this person has not opened this version."""

    version: int
    html: str
    unseen: bool


def guideline_of(session: Session, project: Project, person: Person) -> ShownGuideline | None:
    row = decision_queries.guideline_in_force(session, project.id)
    if row is None:
        return None
    seen = decision_queries.guideline_version_seen(session, project.id, person.id)
    return ShownGuideline(row.version, guideline_html(row.markdown), unseen=row.version > seen)


class StreamLink(NamedTuple):
    """A way to the other stream: its name, its address, and whether it is the one on screen."""

    name: str
    href: str
    is_current: bool


def streams_of(desk: Desk, audit_id: int | None = None) -> list[StreamLink]:
    """The work stream and the open audits, with the one on screen whatever its state; none where there is no audit."""
    audits = {*open_audits(desk.session, desk.project.id)} | ({audit_id} if audit_id else set())
    if not audits:
        return []
    links = [StreamLink("Work", "/review", audit_id is None)]
    return links + [
        StreamLink(f"Audit {number}", f"/review?stream=audit&audit={number}", number == audit_id)
        for number in sorted(audits)
    ]

"""Reviewing over REST."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.accounts.roles import Caller, admit, role_in
from app.errors import InvalidInput, NotFound
from app.pipeline import Action, InstanceStatus, Role, Stream, Task, Verdict
from app.review import adjudication, audit_stream, decision_queries, history, leases, queries, service
from app.review.assignment import WhyEmpty
from app.review.audit_queries import Draw
from app.review.blind import ids_in_hand
from app.review.draws import Answer, NothingToRead
from app.review.filters import Filters, instance_rows
from app.review.history import Viewer
from app.review.judgement import Judgement
from app.review.shapes import CardShape, DecisionShape, DrawShape, InstanceRow, InstanceShape, LeaseShape
from app.storage.tables import Decision, Instance
from app.web.dependencies import ApiCaller, DbSession, ReadProject, ReviewProject
from app.web.idempotency import api_router
from app.web.pagination import AskedWindow, Page, cut

router = api_router(tags=["review"])

InstanceId = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[7])]
DecisionId = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[3])]
SearchText = Annotated[
    str | None,
    Query(
        max_length=200,
        description="Text in the instruction, the task's name, the file, function or its comment",
    ),
]


class QueueFilters(BaseModel):
    """Only instances like this. What is left out lets everything through."""

    model_config = ConfigDict(extra="forbid")

    task: Task | None = None
    language: str | None = None
    verdict: Verdict | None = None
    q: str | None = Field(default=None, max_length=200)


class NextRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {},
                {"prefetch": True},
                {"filters": {"language": "python"}},
                {"stream": "audit", "audit_id": 3},
            ]
        },
    )

    stream: Stream = Stream.WORK
    audit_id: int | None = Field(
        default=None, ge=1, le=2**63 - 1, description="Of the audit stream; without it, of the oldest audit"
    )
    prefetch: bool = Field(default=False, description="Hold one more, while the first is being read")
    filters: QueueFilters = QueueFilters()


class DecisionRequest(BaseModel):
    """`reject` and `skip` need one of the project's reasons; `edit` needs a text that differs.

    A draw of an audit is answered by `defect`, which needs a reason where it is true; what becomes of its text in
    the release is another question: `accept` leaves it, `edit` corrects or polishes it, `reject` takes it out.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"action": "accept", "lease": "TOKEN"},
                {"action": "reject", "lease": "TOKEN", "reason": "incorrect", "note": "Off by one."},
                {"action": "edit", "lease": "TOKEN", "edits": {"solution": "def one():\n    return 1\n"}},
                {"action": "accept", "lease": "TOKEN", "rules": {"readable": "yes"}},
                {"action": "accept", "lease": "TOKEN", "defect": False},
                {"action": "reject", "lease": "TOKEN", "defect": True, "reason": "incorrect"},
            ]
        },
    )

    action: Action
    lease: str = Field(max_length=200, description="The token that `review/next` gave")
    defect: bool | None = Field(default=None, description="In the audit stream, and only there: the label")
    reason: str | None = None
    note: str = ""
    edits: dict[str, str] = Field(default={}, description="instruction, information, solution")
    rules: dict[str, str] = Field(
        default={}, description="Your own answer, yes or no, to rules of the verdict"
    )


def _demand_role(session: DbSession, caller: Caller, row: Instance | Decision, least: Role) -> Viewer:
    """What the caller may not know about reads like what does not exist."""
    try:
        admit(session, caller, row.project_id, least)
    except NotFound:
        raise NotFound(f"there is no {row.__tablename__} {row.id}") from None
    return _viewer(session, caller, row.project_id)


def _viewer(session: DbSession, caller: Caller, project_id: int) -> Viewer:
    is_admin = role_in(session, caller, project_id) is Role.ADMIN
    return Viewer(caller.person.name, is_admin, caller.person.id)


@router.get("/projects/{project}/instances")
def instances(
    session: DbSession,
    project: ReadProject,
    caller: ApiCaller,
    asked: AskedWindow,
    status: InstanceStatus | None = None,
    task: Task | None = None,
    language: str | None = None,
    verdict: Verdict | None = None,
    q: SearchText = None,
) -> Page[InstanceRow]:
    """Instances by number, without information, solution and snippet."""
    rows, following = cut(
        instance_rows(
            session,
            project.id,
            Filters(status, task, language, verdict, q),
            after=asked.after or 0,
            limit=asked.limit + 1,
            blind=ids_in_hand(session, caller.person.id),
        ),
        asked,
        lambda row: row.id,
    )
    return Page(items=rows, next=following)


@router.get("/instances/{instance_id}")
def instance(session: DbSession, caller: ApiCaller, instance_id: InstanceId) -> InstanceShape:
    """One instance with everything that is known about it."""
    viewer = _demand_role(session, caller, queries.instance(session, instance_id), Role.VIEWER)
    return history.instance_detail(session, instance_id, viewer)


@router.post(
    "/projects/{project}/review/next",
    responses={
        200: {"model": CardShape},
        204: {
            "description": "Nothing to read now. `X-Reason` is empty, leased, waiting or filtered; "
            "`X-Reason-Text` says the same with numbers."
        },
    },
)
def next_to_review(
    session: DbSession, project: ReviewProject, caller: ApiCaller, asked: NextRequest | None = None
) -> Any:
    """Your open lease if you have one, else the next instance of the queue, yours for ten minutes.

    In the audit stream it is the next draw of the lot, blind: the frozen text, and nothing that was said about it.
    """
    asked = asked or NextRequest()
    filters = Filters(**asked.filters.model_dump())
    if asked.stream is Stream.AUDIT:
        if any(filters):
            raise InvalidInput("an audit is read in its order, whatever the draws are", "filters")
        found = audit_stream.next_draw(
            session, project, caller.person, audit_id=asked.audit_id, prefetch=asked.prefetch
        )
    elif asked.audit_id is not None:
        raise InvalidInput("an audit is read in its own stream: send `stream: audit`, too", "audit_id")
    else:
        found = leases.next_card(session, project, caller.person, prefetch=asked.prefetch, filters=filters)
    if isinstance(found, WhyEmpty | NothingToRead):
        return Response(status_code=204, headers={"X-Reason": found.reason, "X-Reason-Text": found.text})
    draw = found.row if isinstance(found, Draw) else None
    instance_id = found.row.instance_id if isinstance(found, Draw) else found.instance.id
    return CardShape(
        instance=history.instance_detail(session, instance_id, _viewer(session, caller, project.id)),
        lease=LeaseShape.model_validate(found.lease),
        draw=draw and DrawShape.model_validate(draw),
    )


@router.post("/instances/{instance_id}/decisions", status_code=201)
def decide(
    session: DbSession, caller: ApiCaller, instance_id: InstanceId, asked: DecisionRequest
) -> DecisionShape:
    """Accept, edit, reject or skip an instance that you hold; answer a draw of an audit.

    409 says who holds it or has decided on it, and refuses to skip a draw; 422 names the field, and lists the
    project's reasons.
    """
    _demand_role(session, caller, queries.instance(session, instance_id), Role.ANNOTATOR)
    judgement = Judgement(asked.action, asked.reason, asked.note, asked.edits, asked.rules)
    stream = leases.stream_of(session, caller.person, instance_id, asked.lease)
    # A lease that is lost no longer says of which stream it was: the answer does.
    if stream is Stream.AUDIT or (stream is None and asked.defect is not None):
        answer = Answer(asked.defect, judgement)
        decision = audit_stream.decide(session, caller.person, instance_id, asked.lease, answer)
    elif asked.defect is not None:
        raise InvalidInput("`defect` is asked in an audit; this lease is of the work stream", "defect")
    else:
        decision = service.decide(session, caller.person, instance_id, asked.lease, judgement)
    return history.decision_shape(session, decision)


@router.post("/decisions/{decision_id}/undo")
def undo(session: DbSession, caller: ApiCaller, decision_id: DecisionId) -> DecisionShape:
    """Take back one of your last ten decisions. 409 where somebody decided on the instance since."""
    _demand_role(session, caller, decision_queries.decision(session, decision_id), Role.ANNOTATOR)
    return history.decision_shape(session, service.undo(session, caller.person, decision_id))


class AdjudicationRequest(BaseModel):
    """Decide in the readers' place, or `send_back`: read anew, what was said counts no more."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"action": "accept"},
                {"action": "reject", "reason": "incorrect"},
                {"action": "edit", "edits": {"solution": "def one():\n    return 1\n"}},
                {"action": "send_back", "note": "Read the new guideline first."},
            ]
        },
    )

    action: Literal["accept", "edit", "reject", "send_back"]
    reason: str | None = None
    note: str = ""
    edits: dict[str, str] = Field(default={}, description="instruction, information, solution")
    rules: dict[str, str] = Field(
        default={}, description="Your own answer, yes or no, to rules of the verdict"
    )


@router.post("/instances/{instance_id}/adjudications", status_code=201)
def adjudicate(
    session: DbSession, caller: ApiCaller, instance_id: InstanceId, asked: AdjudicationRequest
) -> DecisionShape:
    """The last word on a disputed instance, of an administrator of its project. 409 where it is not disputed."""
    _demand_role(session, caller, queries.instance(session, instance_id), Role.ADMIN)
    if asked.action == "send_back":
        decision = adjudication.send_back(session, caller.person, instance_id, asked.note)
    else:
        judgement = Judgement(Action(asked.action), asked.reason, asked.note, asked.edits, asked.rules)
        decision = adjudication.adjudicate(session, caller.person, instance_id, judgement)
    return history.decision_shape(session, decision)

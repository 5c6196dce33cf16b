"""Labels of an audit that administrators change, over REST. Touches what speaks HTTP."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from app.accounts.roles import Caller, admit
from app.errors import NotFound
from app.pipeline import Role
from app.review import audit_labels, audit_queries
from app.review.queries import columns_of
from app.review.shapes import LabelChangeShape
from app.storage.tables import Audit, LabelChange
from app.web.dependencies import ApiCaller, DbSession
from app.web.idempotency import api_router

router = api_router(tags=["audits"])

AuditId = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[3])]
InstanceId = Annotated[int, Field(ge=1, le=2**63 - 1)]


class LabelRequest(BaseModel):
    """An adjudicator's word on a draw whose readers disagree."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"instance_id": 7, "defect": False, "note": "Zero is allowed."}]},
    )

    instance_id: InstanceId
    defect: bool
    note: str = ""


class FoundRequest(BaseModel):
    """A draw that was read as ok and is a defect. The note says what is wrong with it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"instance_id": 7, "note": "It fails for negative numbers."}]},
    )

    instance_id: InstanceId
    note: str


@router.post("/audits/{audit_id}/adjudications", status_code=201)
def adjudicate(
    session: DbSession, caller: ApiCaller, audit_id: AuditId, asked: LabelRequest
) -> LabelChangeShape:
    """Decide on a draw about which two readers disagree. 409 where it does not wait for an adjudicator; 403 for
    one of its readers, where another administrator could decide."""
    _demand_admin(session, caller, audit_id)
    change = audit_labels.adjudicate(
        session, caller.person, audit_id, asked.instance_id, asked.defect, asked.note
    )
    return _shape(session, caller, change)


@router.post("/audits/{audit_id}/defects", status_code=201)
def find_later(
    session: DbSession, caller: ApiCaller, audit_id: AuditId, asked: FoundRequest
) -> LabelChangeShape:
    """Record that a draw which was read as ok is a defect. 409 where it is not read, or is a defect already."""
    _demand_admin(session, caller, audit_id)
    change = audit_labels.find_later(session, caller.person, audit_id, asked.instance_id, asked.note)
    return _shape(session, caller, change)


def _demand_admin(session: DbSession, caller: Caller, audit_id: int) -> None:
    """What the caller may not know about reads like what does not exist."""
    audit = session.get(Audit, audit_id)
    try:
        if audit is not None:
            return admit(session, caller, audit.project_id, Role.ADMIN)
    except NotFound:
        pass
    raise NotFound(f"there is no audit {audit_id}")


def _shape(session: DbSession, caller: Caller, change: LabelChange) -> LabelChangeShape:
    state = audit_queries.audit_locked(session, change.audit_id).state
    return LabelChangeShape.model_validate(
        {**columns_of(change), "person": caller.person.name, "state": state}
    )

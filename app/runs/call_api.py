"""One question to a model, rendered again, over REST. Touches what speaks HTTP, and reads the call.

The stages know how their questions are made, and this room knows no stage: the entry point hands it their renderers.
"""

from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import Path, Request
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from app.accounts.roles import admit
from app.engine.calls import request_hash
from app.errors import Conflict, NotFound
from app.pipeline import OFFLINE, Role, Stage
from app.prompting.prompt import Prompt
from app.storage.tables import Call, Run
from app.web.dependencies import ApiCaller, DbSession
from app.web.idempotency import api_router

router = api_router(tags=["runs"])

Renderers = Mapping[Stage, Callable[[Session, Call], Prompt]]


class Messages(BaseModel):
    """What was asked, byte for byte where `same` says so."""

    id: int = Field(description="The call", examples=[31])
    model: str
    system: str
    user: str
    schema_name: str
    request_hash: str = Field(description="SHA-256 of the request as it is rendered now")
    same: bool = Field(description="Whether that is the hash that the call kept when it was sent")


@router.get("/calls/{call_id}/messages")
def call_messages(
    request: Request,
    session: DbSession,
    caller: ApiCaller,
    call_id: Annotated[int, Path(ge=1, le=2**63 - 1, examples=[31])],
) -> Messages:
    """The messages of a call, made again from the ids that it kept. 409 for the offline teacher and judge."""
    call = session.get(Call, call_id)
    if call is None:
        raise NotFound(f"there is no call {call_id}")
    try:
        admit(session, caller, session.get_one(Run, call.run_id).project_id, Role.VIEWER)
    except NotFound:
        raise NotFound(f"there is no call {call_id}") from None
    if call.model == OFFLINE:
        raise Conflict(f"call {call_id} asked nobody: the offline {call.stage} step answered it")
    renderers: Renderers = request.app.state.renderers
    prompt = renderers[Stage(call.stage)](session, call)
    hashed = request_hash(prompt, call.model)
    return Messages(
        id=call.id,
        model=call.model,
        system=prompt.system,
        user=prompt.user,
        schema_name=prompt.schema_name,
        request_hash=hashed,
        same=hashed == call.request_hash,
    )

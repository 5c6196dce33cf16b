"""One question to a model, rendered again, over REST. Touches what speaks HTTP, and reads the call."""

from typing import Annotated, Literal

from fastapi import Path, Request
from pydantic import BaseModel, Field

from app.accounts.roles import admit
from app.errors import NotFound
from app.pipeline import Role
from app.runs.rendering import asked_by, run_of_call
from app.web.dependencies import ApiCaller, DbSession
from app.web.idempotency import api_router

router = api_router(tags=["runs"])


class Message(BaseModel):
    role: Literal["system", "user"]
    content: str


class Messages(BaseModel):
    """What was asked, byte for byte where `same` says so."""

    id: int = Field(description="The call", examples=[31])
    model: str
    stage: str = Field(description="generate, discriminate, replay, try_prompt or try_judge")
    system: str
    user: str
    messages: list[Message] = Field(description="The same two, as they are sent")
    schema_name: str
    template_hash: str
    request_hash: str = Field(description="SHA-256 of the request as it is rendered now")
    sent_hash: str = Field(description="That of the request as it was sent")
    same: bool = Field(description="Whether the two are equal")


@router.get("/calls/{call_id}/messages")
def call_messages(
    request: Request,
    session: DbSession,
    caller: ApiCaller,
    call_id: Annotated[int, Path(ge=1, le=2**63 - 1, examples=[31])],
) -> Messages:
    """The messages of a call, made again from the ids that it kept. 409 for the offline teacher and judge."""
    call, run = run_of_call(session, call_id)
    try:
        admit(session, caller, run.project_id, Role.VIEWER)
    except NotFound:
        raise NotFound(f"there is no call {call_id}") from None
    asked = asked_by(session, request.app.state.renderers, call, caller.person.id)
    return Messages(
        id=call.id,
        model=call.model,
        stage=call.stage,
        system=asked.prompt.system,
        user=asked.prompt.user,
        messages=[
            Message(role="system", content=asked.prompt.system),
            Message(role="user", content=asked.prompt.user),
        ],
        schema_name=asked.prompt.schema_name,
        template_hash=call.template_hash,
        request_hash=asked.request_hash,
        sent_hash=call.request_hash,
        same=asked.same,
    )

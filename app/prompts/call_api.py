"""What a stored call asked, over REST. Touches HTTP, as `api` does."""

from typing import Annotated, Literal

from fastapi import Path
from pydantic import BaseModel, Field

from app.accounts.roles import admit
from app.errors import NotFound
from app.pipeline import Role
from app.prompts import queries
from app.prompts.asking import GivenRenderings
from app.prompts.calls import asked_by, messages_of
from app.web.dependencies import ApiCaller, DbSession
from app.web.idempotency import api_router

router = api_router(tags=["instances"])


class Message(BaseModel):
    role: Literal["system", "user"]
    content: str


class CallMessages(BaseModel):
    """A stored call, rendered again from what it points at."""

    id: int
    stage: str = Field(description="generate, discriminate, replay, try_prompt or try_judge")
    model: str
    messages: list[Message] = Field(description="Byte for byte as they were sent, where `equal` is true")
    template_hash: str
    request_hash: str | None = Field(description="Of the request as it is rendered now")
    sent_hash: str | None = Field(description="Of the request as it was sent")
    equal: bool | None = Field(description="Whether the two are the same; null where nothing was sent")
    why_not: str | None = Field(description="Why there are no messages")


@router.get("/calls/{call_id}/messages")
def call_messages(
    session: DbSession,
    caller: ApiCaller,
    renderings: GivenRenderings,
    call_id: Annotated[int, Path(ge=1, le=2**63 - 1, examples=[71])],
) -> CallMessages:
    """What a call asked, rendered again from its template, rules, cases and material, with both hashes."""
    call, run = queries.call_of(session, call_id)
    try:
        admit(session, caller, run.project_id, Role.VIEWER)
    except NotFound:
        raise NotFound(f"there is no call {call_id}") from None
    asked = asked_by(session, renderings, call, caller.person.id)
    return CallMessages(
        id=call.id,
        stage=call.stage,
        model=call.model,
        messages=[
            Message.model_validate({"role": role, "content": content}) for role, content in messages_of(asked)
        ],
        template_hash=call.template_hash,
        request_hash=asked.request_hash,
        sent_hash=call.request_hash or None,
        equal=asked.is_equal,
        why_not=asked.why_not or None,
    )

"""Calls rendered again, byte for byte, from what they point at: the same messages make the same request hash."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.engine.calls import request_hash
from app.engine.handlers import Renderings
from app.errors import DomainError
from app.pipeline import OFFLINE, Stage
from app.prompting.prompt import Prompt
from app.prompting.repeating import again
from app.storage.tables import Call


class Rendered(NamedTuple):
    """What a call asked. Without a `prompt`, `why_not` says why there is none to see."""

    call: Call
    prompt: Prompt | None
    request_hash: str | None  # of the prompt as it is rendered now
    why_not: str = ""

    @property
    def is_equal(self) -> bool | None:
        """Whether this is what was sent, by its hash; None where nothing was sent."""
        return None if self.request_hash is None else self.request_hash == self.call.request_hash


def rendered(session: Session, renderings: Renderings, calls: Sequence[Call]) -> list[Rendered]:
    """What each of `calls` asked, in their order."""
    asked = {call.id: call for call in calls if call.model != OFFLINE}
    questions: dict[int, Prompt | DomainError] = {}
    for stage, rendering in renderings.items():
        group = [call for call in asked.values() if Stage(call.stage) is stage]
        if group:
            found = rendering.questions(session, group)
            questions |= {call.id: question for call, question in zip(group, found, strict=True)}
    complaints = _complaints(session, list(asked.values()))
    return [
        _rendered(call, questions.get(call.id), complaints.get(call.after_call_id or 0)) for call in calls
    ]


def _rendered(call: Call, question: Prompt | DomainError | None, complaint: str | None) -> Rendered:
    if question is None:
        return Rendered(call, None, None, "it was answered offline: nothing was asked of a model")
    if isinstance(question, DomainError):
        return Rendered(call, None, None, str(question))
    prompt = question if complaint is None else again(question, complaint)
    return Rendered(call, prompt, request_hash(prompt, call.model))


def _complaints(session: Session, calls: Sequence[Call]) -> dict[int, str]:
    """What was wrong with the replies that these calls were asked after, by the call of the reply."""
    after = {call.after_call_id for call in calls if call.after_call_id is not None}
    if not after:
        return {}
    rows = session.execute(select(Call.id, Call.error_detail).where(Call.id.in_(after)))
    return {call_id: detail for call_id, detail in rows if detail is not None}

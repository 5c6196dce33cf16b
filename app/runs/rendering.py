"""A stored call rendered again, byte for byte, from what it points at. Touches the tables, reading only.

The stages know how their questions are made, and this room knows no stage: the entry point hands it their renderers.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sqlalchemy.orm import Session

from app.engine.calls import request_hash
from app.errors import Conflict, NotFound
from app.pipeline import OFFLINE, Stage
from app.prompting.prompt import Prompt
from app.storage.lots import reads_blind
from app.storage.tables import Call, Run

Renderers = Mapping[Stage, Callable[[Session, Call], Prompt]]


class Asked(NamedTuple):
    """The prompt of a call as it is rendered now; `same`: by its hash it is what was sent."""

    prompt: Prompt
    request_hash: str
    same: bool


def run_of_call(session: Session, call_id: int) -> tuple[Call, Run]:
    """A call and its run. Raises NotFound."""
    call = session.get(Call, call_id)
    if call is None:
        raise NotFound(f"there is no call {call_id}")
    return call, session.get_one(Run, call.run_id)


def asked_by(session: Session, renderers: Renderers, call: Call, person_id: int) -> Asked:
    """Raises Conflict for the offline teacher and judge, which were asked nothing.

    Raises NotFound where what it was made from is gone, and for whoever reads what it is about blind.
    """
    if call.model == OFFLINE:
        raise Conflict(f"call {call.id} asked nobody: the offline {call.stage} step answered it")
    if call.stage != Stage.TRY_PROMPT and reads_blind(session, person_id, call.source_id):
        raise NotFound(f"call {call.id} is about an instance that you read for an audit: answer first")
    return rendered(session, renderers, call)


def rendered(session: Session, renderers: Renderers, call: Call) -> Asked:
    """Raises NotFound where what it was made from is gone."""
    prompt = renderers[Stage(call.stage)](session, call)
    hashed = request_hash(prompt, call.model)
    return Asked(prompt, hashed, hashed == call.request_hash)

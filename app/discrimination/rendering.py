"""The question that a call asked, made again from the ids that it kept. Touches the tables, reading only."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.discrimination import queries
from app.discrimination.basis import Bases
from app.discrimination.prompts import Judged
from app.engine.calls import request_hash
from app.pipeline import Task
from app.prompting.exemplars import Drawn
from app.prompting.prompt import Prompt
from app.prompting.repeating import again
from app.storage.bank import Bank
from app.storage.tables import Call, Instance, Revision, SentBack


def rendered(session: Session, call: Call) -> Prompt:
    """Of the texts that the instance has had it is the one that gives the call's hash, else the present one.

    Raises NotFound where what it was made from is gone.
    """
    drawn = Drawn(call.good_exemplar_id, call.bad_exemplar_id)
    cases = drawn.of(Bank().cases(session, [drawn]))
    basis = Bases().of_call(session, call, Task(session.get_one(Instance, call.source_id).task))
    prompt: Prompt | None = None
    for judged in _texts(session, call.source_id):
        asked = basis.question(judged, drawn, cases)
        asked = asked if call.repeats is None else again(asked, call.repeats)
        if request_hash(asked, call.model) == call.request_hash:
            return asked
        prompt = prompt or asked
    assert prompt is not None  # the instance itself has a text
    return prompt


def _texts(session: Session, instance_id: int) -> Iterator[Judged]:
    """The present text, then the others, the newest first, then the one that was sent back."""
    instance = session.get_one(Instance, instance_id)
    present = queries.judged(instance)
    yield present
    query = (
        select(Revision.instruction, Revision.information, Revision.solution)
        .where(Revision.instance_id == instance_id)
        .order_by(Revision.number.desc())
    )
    for instruction, information, solution in session.execute(query):
        yield present._replace(instruction=instruction, information=information, solution=solution)
    first = session.get(SentBack, instance_id)
    if first is not None:
        yield present._replace(
            instruction=first.instruction, information=first.information, solution=first.solution
        )

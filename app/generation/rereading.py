"""What a generator's stored replies say now. Touches the tables, reading only."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.engine.rereading import Came, Reread
from app.errors import Unparsable
from app.generation import queries
from app.generation.parsing import Written, parsed
from app.pipeline import Task
from app.prompting.reading import how_read
from app.storage.bank import reply_of
from app.storage.tables import Call, Instance


def reread(session: Session, calls: Sequence[Call]) -> list[Reread]:
    """Beside the texts that the instances have, one for one."""
    instances = queries.instances(session, [call.source_id for call in calls])
    return [_reread(instances[call.source_id], call) for call in calls]


def _reread(instance: Instance, call: Call) -> Reread:
    has_text = instance.text_hash is not None
    try:
        written, marks = parsed(reply_of(call), Task(instance.task), instance.language)
    except Unparsable as error:
        return Reread(Came.REFUSED if has_text else Came.SAME, f"{error.code}: {error}")
    if not has_text:
        return Reread(Came.USABLE)
    different = [key for key in Written._fields if getattr(instance, key) != getattr(written, key)]
    if different:
        return Reread(Came.CHANGED, ", ".join(different))
    noted = how_read(marks)
    is_noted = (call.error_code, call.error_detail) == noted
    return Reread(Came.SAME if is_noted else Came.MARKED, noted=noted)

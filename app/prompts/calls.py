"""What a stored call asked, rendered again for whoever may see it. Touches the tables through its session."""

from sqlalchemy.orm import Session

from app.engine.handlers import Renderings
from app.engine.rerender import Rendered, rendered
from app.errors import NotFound
from app.pipeline import Stage
from app.storage.lots import reads_blind
from app.storage.tables import Call


def asked_by(session: Session, renderings: Renderings, call: Call, person_id: int) -> Rendered:
    """Raises NotFound where the person reads what it is about blind."""
    if call.stage != Stage.TRY_PROMPT and reads_blind(session, person_id, call.source_id):
        raise NotFound(f"call {call.id} is about an instance that you read for an audit: answer first")
    return rendered(session, renderings, [call])[0]


def messages_of(asked: Rendered) -> list[tuple[str, str]]:
    """(role, content), as they are sent."""
    return [] if asked.prompt is None else [("system", asked.prompt.system), ("user", asked.prompt.user)]

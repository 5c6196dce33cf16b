"""The question that a call asked, made again from the ids that it kept. Touches the tables, reading only."""

from sqlalchemy.orm import Session

from app.generation import prompts, queries
from app.prompting.exemplars import Drawn
from app.prompting.prompt import Prompt
from app.prompting.repeating import again
from app.storage.bank import Bank, template_content
from app.storage.tables import Call


def rendered(session: Session, call: Call) -> Prompt:
    """Raises NotFound where what it was made from is gone."""
    [(instance, snippet, _)] = queries.asked_about(session, [call.source_id])
    drawn = Drawn(call.good_exemplar_id, call.bad_exemplar_id)
    content = template_content(session, call.template_hash)
    prompt = prompts.ask(
        queries.material_of(instance, snippet), *drawn.of(Bank().cases(session, [drawn])), content
    )._replace(**drawn.columns())
    return prompt if call.repeats is None else again(prompt, call.repeats)

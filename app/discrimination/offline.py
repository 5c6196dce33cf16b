"""The offline judge: it gives no opinion of its own, so the rules that a machine answers decide alone. Pure."""

import json
from collections.abc import Sequence

from app.discrimination.opinion import Answer, Said
from app.discrimination.rubric import Rule
from app.prompting.prompt import Answered, Reply

WHY_NOT = "needs a model"


def silence(rules: Sequence[Rule], template_hash: str) -> Answered:
    """The judge's reply, kept like a model's: each rule not checked, with why."""
    answers = {rule.rule: {"reason": WHY_NOT, "answer": Answer.NOT_CHECKED} for rule in rules}
    return Answered(Reply(json.dumps(answers), finish_reason="stop"), template_hash)


def no_opinion(rules: Sequence[Rule]) -> dict[str, Said]:
    """What `silence` says, as answers."""
    return {rule.rule: Said(Answer.NOT_CHECKED, WHY_NOT) for rule in rules}

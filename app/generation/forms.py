"""The form that starts a run: what stands in it, and what it asks for. Pure."""

from pydantic import BaseModel, Field

from app.errors import InvalidInput
from app.generation.plan import Wanted
from app.pipeline import OFFLINE, Priority, Task

USUAL_COUNT = "200"
USUAL_SHARES = {
    "summarization": "16",
    "generation": "57",
    "translation": "11",
    "repair": "16",
}  # the paper's, %


class GenerationForm(BaseModel):
    """As typed. An empty share is none, an empty budget no cap, an empty selection the newest, an empty seed 0."""

    selection_id: str = Field(default="", max_length=20)
    summarization: str = Field(default="", max_length=20)
    generation: str = Field(default="", max_length=20)
    translation: str = Field(default="", max_length=20)
    repair: str = Field(default="", max_length=20)
    count: str = Field(default="", max_length=20)
    until: str = Field(default="count", max_length=20)  # when it has enough: count or pass
    until_pass: str = Field(default="", max_length=20)
    at_most: str = Field(default="", max_length=20)
    generator: str = Field(default="", max_length=200)
    discriminator: str = Field(default="", max_length=200)
    budget_usd: str = Field(default="", max_length=20)
    priority: str = Field(default=Priority.NORMAL, max_length=20)
    seed: str = Field(default="", max_length=20)
    candidates: str = Field(default="", max_length=20)  # empty: one
    send_back: bool = False
    granularities: str = Field(default="", max_length=200)  # "line 1, paragraph 2"; empty: all evenly
    targets: str = Field(default="", max_length=200)

    def share(self, task: Task) -> str:
        return str(getattr(self, task.value))


def asked(form: GenerationForm) -> Wanted:
    """What the form asks for. Raises InvalidInput naming the field that is no number.

    The offline teacher is not asked for what it cannot do: the field of translation is closed then.
    """
    tasks = [task for task in Task if task is not Task.TRANSLATION or form.generator != OFFLINE]
    has_goal = form.until == "pass"
    shares = {task.value: _number(form.share(task) or "0", task.value) for task in tasks}
    return Wanted(
        selection_id=_whole(form.selection_id, "selection_id") if form.selection_id else None,
        tasks=shares,
        count=None if has_goal else _whole(form.count, "count"),
        until_pass=_whole(form.until_pass, "until_pass") if has_goal else None,
        at_most=_whole(form.at_most, "at_most") if has_goal and form.at_most.strip() else None,
        generator=form.generator.strip() or None,
        discriminator=form.discriminator.strip() or None,
        budget_usd=_number(form.budget_usd, "budget_usd") if form.budget_usd.strip() else None,
        priority=form.priority,
        seed=_whole(form.seed or "0", "seed"),
        send_back=form.send_back and form.generator != OFFLINE,
        candidates=_whole(form.candidates or "1", "candidates"),
        granularities=_named_shares(form.granularities, "granularities"),
        targets=_named_shares(form.targets, "targets"),
    )


def _named_shares(text: str, field: str) -> dict[str, float]:
    """`go 2, java` is two parts of Go and one of Java."""
    parts = [part.split() for part in text.split(",") if part.strip()]
    crowded = next((part for part in parts if len(part) > 2), None)
    if crowded:
        raise InvalidInput(f"“{' '.join(crowded)}” is not a name and a number", field)
    return {name.lower(): _number(share[0] if share else "1", field) for name, *share in parts}


def _whole(text: str, field: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(f"“{text}” is not a whole number", field) from None


def _number(text: str, field: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"“{text}” is not a number", field) from None

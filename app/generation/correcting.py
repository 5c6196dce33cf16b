"""What the engine asks of a correction: one better text for an instance that a verdict spoke against.

Touches the database through the session it is given; commits nothing. The first text stays on record, and stays the
instance's where no better one comes.
"""

from collections.abc import Callable, Collection, Sequence

from sqlalchemy.orm import Session

from app.engine.handlers import Ending
from app.errors import DomainError, Unparsable
from app.generation import correction, queries
from app.generation.parsing import Written
from app.pipeline import InstanceStatus, Outcome, Stage, Task, Verdict
from app.prompting.exemplars import text_hash
from app.prompting.prompt import Answered, Prompt
from app.prompting.repeating import again
from app.storage.bank import template_content
from app.storage.frozen import Frozen
from app.storage.tables import Call, Instance, SentBack, WorkItem


class CorrectionHandler:
    """Asks for another text of the instances `item.source_id`; `check` is given those that have got one."""

    def __init__(self, check: Callable[[Session, Collection[Instance]], None]) -> None:
        self._frozen = Frozen(correction.template(task) for task in Task)
        self._check = check

    def prepare(self, session: Session, items: Sequence[WorkItem]) -> Sequence[Prompt | Answered]:
        ids = [item.source_id for item in items]
        sent_back = queries.sent_back(session, ids)
        questions: dict[int, Prompt] = {}
        for instance, snippet, run in queries.asked_about(session, ids):
            material = queries.material_of(instance, snippet)
            content = self._frozen.template(session, run.id, f"correct/{instance.task}").content
            first = sent_back[instance.id]
            questions[instance.id] = correction.ask(
                material, _first_text(instance, first), first.analysis, content
            )
        return [questions[item.source_id] for item in items]

    def record(
        self, session: Session, answered: Sequence[tuple[WorkItem, Call]]
    ) -> Sequence[Ending | DomainError]:
        ids = [item.source_id for item, _ in answered]
        instances, sent_back = queries.instances(session, ids), queries.sent_back(session, ids)
        endings: list[Ending | DomainError] = []
        texts: list[tuple[Instance, Written]] = []
        for item, call in answered:
            instance = instances[item.source_id]
            try:
                text = queries.read_text(instance, call)
            except Unparsable as error:
                endings.append(error)
                continue
            first = sent_back[instance.id]
            if text_hash(instance.task, *text[1:]) == instance.text_hash:
                endings.append(_keep_first(instance, first, "the same text came back"))
                continue
            first.call_id = call.id
            instance.verdict, instance.contradictory = None, False  # that was of the first text
            texts.append((instance, text))
            endings.append(Ending(next_stage=Stage.CONFIRM))
        queries.keep_texts(session, texts)
        self._check(session, [instance for instance, _ in texts])
        return endings

    def give_up(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> Ending:
        """Its first text has a verdict, by which people may read it."""
        instance = session.get_one(Instance, item.source_id)
        return _keep_first(instance, session.get_one(SentBack, instance.id), f"{error.code}: {error}")


def rendered(session: Session, call: Call) -> Prompt:
    """The question that a call asked, made again. Raises NotFound where what it was made from is gone."""
    [(instance, snippet, _)] = queries.asked_about(session, [call.source_id])
    first = session.get_one(SentBack, instance.id)
    prompt = correction.ask(
        queries.material_of(instance, snippet),
        _first_text(instance, first),
        first.analysis,
        template_content(session, call.template_hash),
    )
    return prompt if call.repeats is None else again(prompt, call.repeats)


def _first_text(instance: Instance, first: SentBack) -> Written:
    return Written(instance.task_name, first.instruction, first.information, first.solution)


def _keep_first(instance: Instance, first: SentBack, why: str) -> Ending:
    first.why_kept = why
    instance.status = InstanceStatus.WAITING
    is_pass = instance.verdict == Verdict.PASS  # what was found was a check, not a rule
    return Ending(outcome=Outcome.PASSED if is_pass else Outcome.FAILED_VERDICT)

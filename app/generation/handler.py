"""What the engine asks of generation. Touches the database through the session it is given; commits nothing."""

from collections.abc import Callable, Collection, Sequence

from sqlalchemy.orm import Session

from app.engine.handlers import Ending
from app.errors import DomainError, Unparsable
from app.generation import prompts, queries
from app.generation.offline import teach
from app.generation.parsing import Written
from app.pipeline import OFFLINE, InstanceStatus, Outcome, Stage, Task
from app.prompting.exemplars import NONE, Drawn, draw_exemplars, draw_seed
from app.prompting.prompt import Answered, Prompt
from app.prompting.template import Template, asks_for
from app.storage.bank import Bank
from app.storage.frozen import Frozen
from app.storage.tables import Call, Instance, WorkItem


class GenerationHandler:
    """Asks for the texts of the instances `item.source_id` and keeps them.

    `check` is given the instances that have just got a text, in the same transaction: the judge finds it done.
    """

    def __init__(self, check: Callable[[Session, Collection[Instance]], None]) -> None:
        self._bank = Bank()
        self._frozen = Frozen(prompts.template(task) for task in Task)
        self._check = check

    def prepare(self, session: Session, items: Sequence[WorkItem]) -> Sequence[Prompt | Answered]:
        """The questions, or the offline teacher's answers; a mutation it made is noted on the instance."""
        answered: dict[int, Answered] = {}
        asked: dict[int, tuple[prompts.Material, Template, Drawn]] = {}
        for instance, snippet, run in queries.asked_about(session, [item.source_id for item in items]):
            material = queries.material_of(instance, snippet)
            seed = draw_seed(
                run.params["seed"], Stage.GENERATE, material.content_hash, material.task, material.candidate
            )
            if run.params["generator"] == OFFLINE:
                lesson = teach(material, seed)
                instance.bug = lesson.bug
                answered[instance.id] = lesson.answered
            else:
                written = self._frozen.template(session, run.id, f"generate/{material.task}")
                snapshot = self._bank.snapshot(session, run.id, instance.task)
                drawn = draw_exemplars(snapshot, seed, instance.task, instance.language)
                asked[instance.id] = (
                    material,
                    written,
                    drawn if asks_for(written.content, "cases") else NONE,
                )
        cases = self._bank.cases(session, [drawn for _, _, drawn in asked.values()])
        questions = {
            instance_id: prompts.ask(material, *drawn.of(cases), written.content)._replace(**drawn.columns())
            for instance_id, (material, written, drawn) in asked.items()
        }
        return [answered.get(item.source_id) or questions[item.source_id] for item in items]

    def record(
        self, session: Session, answered: Sequence[tuple[WorkItem, Call]]
    ) -> Sequence[Ending | DomainError]:
        instances = queries.instances(session, [item.source_id for item, _ in answered])
        endings: list[Ending | DomainError] = []
        texts: list[tuple[Instance, Written]] = []
        for item, call in answered:
            instance = instances[item.source_id]
            try:
                text = queries.read_text(instance, call)
            except Unparsable as error:
                endings.append(error)
                continue
            texts.append((instance, text))
            endings.append(Ending(next_stage=Stage.DISCRIMINATE))
        queries.keep_texts(session, texts)
        self._check(session, [instance for instance, _ in texts])
        return endings

    def give_up(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> Ending:
        """The instance is unusable, with the reason; the raw replies stay with its calls.

        It may have had a text, read from the same reply in another way, and a verdict on that.
        """
        instance = session.get_one(Instance, item.source_id)
        instance.status = InstanceStatus.UNUSABLE
        instance.unusable_reason = error.code
        instance.task_name = instance.instruction = instance.information = instance.solution = ""
        instance.text_hash, instance.verdict, instance.contradictory = None, None, False
        return Ending(outcome=Outcome.UNUSABLE)

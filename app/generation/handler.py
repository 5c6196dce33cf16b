"""What the engine asks of generation. Touches the database through the session it is given; commits nothing."""

from sqlalchemy.orm import Session

from app.engine.handlers import Ending
from app.errors import Unparsable
from app.generation import prompts, queries
from app.generation.offline import teach
from app.generation.parsing import parsed
from app.pipeline import OFFLINE, InstanceStatus, Outcome, Stage, Task
from app.prompting.exemplars import draw_exemplars, draw_seed
from app.prompting.prompt import Answered, Prompt, Reply
from app.prompting.reading import REPAIRED
from app.storage.bank import cases_of, snapshot_of
from app.storage.tables import Call, Instance, WorkItem


class GenerationHandler:
    """Asks for the text of the instance `item.source_id` and keeps it."""

    def prepare(self, session: Session, item: WorkItem) -> Prompt | Answered:
        """The question, or the offline teacher's answer; a mutation it made is noted on the instance."""
        instance, snippet, run = queries.asked_about(session, item.source_id)
        material = queries.material_of(instance, snippet)
        seed = draw_seed(
            run.params["seed"], Stage.GENERATE, material.content_hash, material.task, material.candidate
        )
        if run.params["generator"] == OFFLINE:
            lesson = teach(material, seed)
            instance.bug = lesson.bug
            return lesson.answered
        snapshot = snapshot_of(session, run.id, instance.task)
        drawn = draw_exemplars(snapshot, seed, instance.task, instance.language)
        prompt = prompts.ask(material, *cases_of(session, drawn))
        return prompt._replace(good_exemplar_id=drawn.good, bad_exemplar_id=drawn.bad)

    def record(self, session: Session, item: WorkItem, call: Call) -> Ending:
        instance = session.get_one(Instance, item.source_id)
        reply = Reply(call.reply or "", call.finish_reason or "", call.refusal)
        task = Task(instance.task)
        text, repaired = parsed(reply, task)
        if repaired:
            call.error_code = REPAIRED
        queries.keep_text(session, instance, text)
        return Ending(next_stage=Stage.DISCRIMINATE)

    def give_up(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> Ending:
        """The instance is unusable, with the reason; the raw replies stay with its calls."""
        instance = session.get_one(Instance, item.source_id)
        instance.status = InstanceStatus.UNUSABLE
        instance.unusable_reason = error.code
        return Ending(outcome=Outcome.UNUSABLE)

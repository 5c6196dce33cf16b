"""The generator's prompts on real picks, and tries of them that make no instance. Touches the tables through its session."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.code.docstrings import without_docstring
from app.engine.handlers import Ending
from app.errors import Conflict, DomainError, NotFound, Unparsable
from app.generation import offline, prompts, queries
from app.generation.offline import teach
from app.generation.parsing import parsed
from app.generation.plan import Material as Picked
from app.generation.plan import Planned, plan_instances
from app.pipeline import OFFLINE, Outcome, Stage, Task
from app.prompting.editing import Placeholder
from app.prompting.exemplars import NONE, Drawn, Listed, draw_exemplars, draw_seed
from app.prompting.prompt import Answered, Prompt
from app.prompting.repeating import again
from app.prompting.template import Template, asks_for
from app.prompting.trying import BYTES_A_TOKEN, Piece, Preview, Reading, Subject
from app.storage.bank import Bank, reply_of, template_content
from app.storage.frozen import Frozen
from app.storage.tables import Call, Instance, Run, Snippet, WorkItem

_SEED = 0
_LISTED = 20  # picks to choose from


class GeneratorDesk:
    """Looking at a generator's prompt before it is in force."""

    kind = "generate"
    stage = Stage.TRY_PROMPT
    asks = "generator"
    subject = "pick"

    def shipped(self, task: Task) -> Template:
        return prompts.template(task)

    def placeholders(self, task: Task) -> Sequence[Placeholder]:
        return prompts.placeholders(task)

    def schema(self, session: Session, project_id: int, task: Task) -> Mapping[str, Any]:
        return prompts.schema(task)

    def needs_model(self, task: Task) -> bool:
        return task not in offline.TASKS

    def subjects(self, session: Session, project_id: int, task: Task, person_id: int) -> list[Subject]:
        """The first picks of the newest completed selection."""
        return [
            Subject(planned.pick_id, f"{snippet.name} in {snippet.language}, from {snippet.path}"[:120])
            for planned, snippet in _planned(session, project_id, task)
        ]

    def previews(
        self, session: Session, project_id: int, task: Task, written: Template, subjects: Sequence[Subject]
    ) -> list[Preview]:
        """The questions about these picks, with cases as a run that starts now would draw them. Raises NotFound."""
        queries.keep_shipped_cases(session)
        cases = queries.cases_now(session, project_id, task, _SEED)
        planned = {one.pick_id: (one, snippet) for one, snippet in _planned(session, project_id, task)}
        found: list[Preview] = []
        for subject in subjects:
            if subject.subject_id not in planned:
                raise NotFound(f"pick {subject.subject_id} is none of those to look at a prompt on")
            material = _material(*planned[subject.subject_id])
            prompt = _question(
                session, Bank(), material, written, cases
            )  # cases may still change: none is kept
            found.append(Preview(subject, prompt, _reply_tokens(material)))
        return found

    def begin(self, session: Session, run: Run, task: Task, subjects: Sequence[Subject]) -> None:
        """Fix with the run what it needs."""
        wanted = {subject.subject_id for subject in subjects}
        plan = {
            str(one.pick_id): one._asdict()
            for one, _ in _planned(session, run.project_id, task)
            if one.pick_id in wanted
        }
        run.params = run.params | {"plan": plan}
        queries.keep_shipped_cases(session)
        queries.freeze_snapshot(session, run, [task], _SEED)

    def read(self, session: Session, run: Run, call: Call) -> Reading:
        """What a reply of a try says."""
        planned = _planned_of(run, call.source_id)
        try:
            written = parsed(reply_of(call), planned.task, planned.language).written
        except Unparsable as error:
            return Reading(problem=str(error))
        solution = None if planned.task is Task.SUMMARIZATION else planned.target_language or planned.language
        information = None if planned.task is Task.GENERATION else planned.language
        return Reading(
            (
                Piece("Instruction", written.instruction),
                Piece("Information", written.information, information),
                Piece("Solution", written.solution, solution),
            )
        )


class TryPromptHandler:
    """Asks about the picks `item.source_id` and keeps nothing but the calls."""

    def __init__(self) -> None:
        self._bank = Bank()
        self._frozen = Frozen(prompts.template(task) for task in Task)

    def prepare(self, session: Session, items: Sequence[WorkItem]) -> Sequence[Prompt | Answered]:
        snippets = queries.snippets_of(session, [item.source_id for item in items])
        answers: list[Prompt | Answered] = []
        for item in items:
            run = session.get_one(Run, item.run_id)
            material = _material(_planned_of(run, item.source_id), snippets[item.source_id])
            if run.params["generator"] == OFFLINE:
                answers.append(teach(material, _seed_of(material)).answered)
                continue
            written = self._frozen.template(session, run.id, f"generate/{material.task}")
            cases = self._bank.snapshot(session, run.id, material.task)
            answers.append(_question(session, self._bank, material, written, cases))
        return answers

    def record(
        self, session: Session, answered: Sequence[tuple[WorkItem, Call]]
    ) -> Sequence[Ending | DomainError]:
        endings: list[Ending | DomainError] = []
        for item, call in answered:
            run = session.get_one(Run, item.run_id)
            try:
                planned = _planned_of(run, item.source_id)
                parsed(reply_of(call), planned.task, planned.language)
            except Unparsable as error:
                endings.append(error)
                continue
            endings.append(Ending(outcome=Outcome.ANSWERED))
        return endings

    def give_up(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> Ending:
        return Ending(outcome=Outcome.UNUSABLE)


def rendered(session: Session, call: Call) -> Prompt:
    """The question that a call of a try asked, made again from the ids that it kept."""
    run = session.get_one(Run, call.run_id)
    snippet = queries.snippets_of(session, [call.source_id])[call.source_id]
    material = _material(_planned_of(run, call.source_id), snippet)
    drawn = Drawn(call.good_exemplar_id, call.bad_exemplar_id)
    cases = Bank().cases(session, [drawn])
    content = template_content(session, call.template_hash)
    prompt = prompts.ask(material, *drawn.of(cases), content)._replace(**drawn.columns())
    return prompt if call.repeats is None else again(prompt, call.repeats)


def _planned(session: Session, project_id: int, task: Task) -> list[tuple[Planned, Snippet]]:
    """One instance of the task from each of the first picks, as a run would plan it. Raises Conflict."""
    selection = queries.newest_completed_selection(session, project_id)
    if selection is None:
        raise Conflict("a prompt is looked at on picks: this project has no completed selection yet")
    picks = queries.first_picks(session, selection.id, _LISTED)
    snippets = {pick.id: snippet for pick, snippet in picks}
    material = [Picked(pick.id, snippet.id, snippet.language) for pick, snippet in picks]
    planned = plan_instances(material, {task: len(material)}, _SEED)
    return [(one, snippets[one.pick_id]) for one in planned]


def _planned_of(run: Run, pick_id: int) -> Planned:
    planned = Planned(**run.params["plan"][str(pick_id)])
    return planned._replace(task=Task(planned.task))


def _material(planned: Planned, snippet: Snippet) -> prompts.Material:
    return queries.material_of(Instance(**planned._asdict()), snippet)  # a row that is never added


def _question(
    session: Session,
    bank: Bank,
    material: prompts.Material,
    written: Template,
    cases: Sequence[Listed],
) -> Prompt:
    drawn = draw_exemplars(cases, _seed_of(material), material.task, material.language)
    shown = drawn if asks_for(written.content, "cases") else NONE
    texts = bank.cases(session, [shown])
    return prompts.ask(material, *shown.of(texts), written.content)._replace(**shown.columns())


def _seed_of(material: prompts.Material) -> int:
    return draw_seed(_SEED, Stage.GENERATE, material.content_hash, material.task, material.candidate)


def _reply_tokens(material: prompts.Material) -> int:
    code = without_docstring(material.code, material.language)
    return round((2 * len(code.encode()) + len(material.comment.encode())) / BYTES_A_TOKEN) + 60

"""The judge's prompts on real instances, and tries of them that make no verdict. Touches the tables through its session."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.discrimination import prompts, queries
from app.discrimination.basis import Bases, Basis
from app.discrimination.opinion import overall
from app.discrimination.prompts import Judged
from app.discrimination.rubric import Rule, by_a_model, rule_set
from app.engine.handlers import Ending
from app.errors import DomainError, Unparsable
from app.pipeline import HAVE_TEXT, OFFLINE, OUTCOME_OF_VERDICT, Outcome, Stage, Task
from app.prompting.editing import Placeholder
from app.prompting.exemplars import Drawn, draw_exemplars, draw_seed
from app.prompting.prompt import Answered, Prompt
from app.prompting.template import Template
from app.prompting.trying import Piece, Preview, Reading, Subject
from app.storage.bank import Bank
from app.storage.lots import read_blind_by
from app.storage.tables import Call, Instance, Run, WorkItem
from app.storage.versions import in_force

_LISTED = 20  # instances to choose from
_A_RULE_TOKENS = 40  # about a sentence of reason


class JudgeDesk:
    """Looking at a judge's prompt before it is in force."""

    kind = "judge"
    stage = Stage.TRY_JUDGE
    asks = "discriminator"
    subject = "instance"

    def shipped(self, task: Task) -> Template:
        return prompts.template(task)

    def placeholders(self, task: Task) -> Sequence[Placeholder]:
        return prompts.placeholders(task)

    def schema(self, session: Session, project_id: int, task: Task) -> Mapping[str, Any]:
        return prompts.schema(by_a_model(_rules_now(session, project_id, task)))

    def needs_model(self, task: Task) -> bool:
        return False

    def subjects(self, session: Session, project_id: int, task: Task, person_id: int) -> list[Subject]:
        """The newest instances with a text, without those that the person is to read blind."""
        query = (
            select(Instance)
            .where(
                Instance.project_id == project_id,
                Instance.task == task,
                Instance.status.in_(HAVE_TEXT),
                ~read_blind_by(person_id, Instance.id),
            )
            .order_by(Instance.id.desc())
            .limit(_LISTED)
        )
        return [
            Subject(row.id, f"{row.id} in {row.language}: {row.instruction}"[:120])
            for row in session.scalars(query)
        ]

    def previews(
        self, session: Session, project_id: int, task: Task, written: Template, subjects: Sequence[Subject]
    ) -> list[Preview]:
        """The questions about these instances by the rules in force, with the cases that their own run may draw."""
        rules = in_force(session, project_id, prompts.rules_template(task))
        basis = Basis(written, rule_set(rules.content))
        numbers = [subject.subject_id for subject in subjects]
        revisions = queries.machine_revisions(session, numbers)
        texts = queries.judged_at(session, set(revisions.items()))
        rows = queries.instances(session, numbers)
        found: list[Preview] = []
        for subject in subjects:
            row = rows[subject.subject_id]
            judged = texts[row.id, revisions[row.id]]
            bank = Bank()
            drawn = basis.shown(_drawn(session, bank, row, judged))
            cases = bank.cases(session, [drawn])
            prompt = basis.question(judged, drawn, drawn.of(cases))
            asked = by_a_model(basis.rules_for(judged))
            found.append(Preview(subject, prompt, _A_RULE_TOKENS * (len(asked) + 1)))
        return found

    def begin(self, session: Session, run: Run, task: Task, subjects: Sequence[Subject]) -> None:
        """Fix with the run what it needs."""
        revisions = queries.machine_revisions(session, [subject.subject_id for subject in subjects])
        run.params = run.params | {"revisions": {str(number): one for number, one in revisions.items()}}

    def read(self, session: Session, run: Run, call: Call) -> Reading:
        """What a reply of a try says, the mechanical checks beside it."""
        judged, revision = _tried(session, run, [call.source_id])[call.source_id]
        basis = Bases().of(session, run.id, judged.task)
        try:
            said = basis.said_by(call, judged)
        except Unparsable as error:
            return Reading(problem=str(error))
        evidence = queries.evidence_of_revision(session, call.source_id, revision)
        answers = basis.answers(judged, said, evidence)
        claimed = f"; the judge's own word is {said.claimed}" if said.claimed else ""
        return Reading(
            (
                Piece("Verdict", f"{overall(answers)}, by the required rules{claimed}"),
                *(
                    Piece(one.rule.rule, f"{one.answer.replace('_', ' ')}. {one.reason}".strip())
                    for one in answers
                ),
            )
        )


class TryJudgeHandler:
    """Asks about the instances `item.source_id` and keeps nothing but the calls."""

    def __init__(self) -> None:
        self._bank = Bank()
        self._bases = Bases()

    def prepare(self, session: Session, items: Sequence[WorkItem]) -> Sequence[Prompt | Answered]:
        answers: list[Prompt | Answered] = []
        for item in items:
            run = session.get_one(Run, item.run_id)
            judged, _ = _tried(session, run, [item.source_id])[item.source_id]
            basis = self._bases.of(session, run.id, judged.task)
            if run.params["discriminator"] == OFFLINE:
                answers.append(basis.silence(judged))
                continue
            row = session.get_one(Instance, item.source_id)
            drawn = basis.shown(_drawn(session, self._bank, row, judged))
            answers.append(basis.question(judged, drawn, drawn.of(self._bank.cases(session, [drawn]))))
        return answers

    def record(
        self, session: Session, answered: Sequence[tuple[WorkItem, Call]]
    ) -> Sequence[Ending | DomainError]:
        endings: list[Ending | DomainError] = []
        for item, call in answered:
            run = session.get_one(Run, item.run_id)
            judged, revision = _tried(session, run, [item.source_id])[item.source_id]
            basis = self._bases.of(session, run.id, judged.task)
            try:
                verdict = basis.verdict(session, call, judged, revision)
            except Unparsable as error:
                endings.append(error)
                continue
            endings.append(Ending(outcome=OUTCOME_OF_VERDICT[verdict]))
        return endings

    def give_up(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> Ending:
        return Ending(outcome=Outcome.INVALID_VERDICT)


def _rules_now(session: Session, project_id: int, task: Task) -> tuple[Rule, ...]:
    return rule_set(in_force(session, project_id, prompts.rules_template(task)).content).rules


def _tried(session: Session, run: Run, instance_ids: Sequence[int]) -> dict[int, tuple[Judged, int]]:
    """The text and its revision that a try is about, by instance."""
    revisions = {number: int(run.params["revisions"][str(number)]) for number in instance_ids}
    texts = queries.judged_at(session, set(revisions.items()))
    return {number: (texts[number, revision], revision) for number, revision in revisions.items()}


def _drawn(session: Session, bank: Bank, row: Instance, judged: Judged) -> Drawn:
    """The cases that the instance's own judge saw, or would have seen."""
    made_by = session.get_one(Run, row.run_id)
    seed = draw_seed(made_by.params.get("seed", 0), Stage.DISCRIMINATE, row.text_hash)
    return draw_exemplars(bank.snapshot(session, row.run_id, judged.task), seed, judged.task, row.language)

"""What the engine asks of discrimination. Touches the database through its session; commits nothing."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.discrimination import queries
from app.discrimination.basis import Bases, Basis
from app.discrimination.mechanical import Evidence
from app.discrimination.opinion import analysis, is_contradictory, is_settled, overall, priority
from app.discrimination.parsing import Opinion
from app.discrimination.prompts import Judged
from app.discrimination.queries import Judgement
from app.discrimination.sending_back import can_be_corrected, what_was_found
from app.engine.handlers import Ending
from app.errors import DomainError, Unparsable
from app.pipeline import OFFLINE, OUTCOME_OF_VERDICT, Finding, InstanceStatus, Stage, Task, Verdict
from app.prompting.exemplars import Case, Drawn, draw_exemplars, draw_seed
from app.prompting.prompt import Answered, Prompt
from app.prompting.reading import REPAIRED, how_read
from app.storage.bank import Bank
from app.storage.tables import Call, Instance, WorkItem


class DiscriminationHandler:
    """Asks for verdicts on the instances `item.source_id` and keeps them, rule by rule."""

    def __init__(self) -> None:
        self._bank = Bank()
        self._bases = Bases()

    def prepare(self, session: Session, items: Sequence[WorkItem]) -> Sequence[Prompt | Answered]:
        """The questions, or the offline judge's silence."""
        silent: dict[int, Answered] = {}
        asked: dict[int, tuple[Judged, Basis, Drawn]] = {}
        for instance, run in queries.asked_about(session, [item.source_id for item in items]):
            task, judged = Task(instance.task), queries.judged(instance)
            basis = self._bases.of(session, run.id, task)
            if run.params["discriminator"] == OFFLINE:
                silent[instance.id] = basis.silence(judged)
            else:
                seed = draw_seed(run.params["seed"], Stage.DISCRIMINATE, instance.text_hash)
                snapshot = self._bank.snapshot(session, run.id, task)
                drawn = basis.shown(draw_exemplars(snapshot, seed, task, instance.language))
                asked[instance.id] = (judged, basis, drawn)
        cases = self._bank.cases(session, [drawn for _, _, drawn in asked.values()])
        questions = {
            instance_id: basis.question(judged, drawn, drawn.of(cases))
            for instance_id, (judged, basis, drawn) in asked.items()
        }
        return [silent.get(item.source_id) or questions[item.source_id] for item in items]

    def record(
        self, session: Session, answered: Sequence[tuple[WorkItem, Call]]
    ) -> Sequence[Ending | DomainError]:
        """Keep the answers; `overall` follows from them and from what the machine found."""
        instances = queries.instances(session, [item.source_id for item, _ in answered])
        evidence = queries.evidence_about(session, instances)
        sending_back = queries.runs_that_send_back(session, {item.run_id for item, _ in answered})
        endings: list[Ending | DomainError] = []
        judgements: list[Judgement] = []
        sent_back: list[tuple[Judgement, Evidence]] = []
        for item, call in answered:
            instance = instances[item.source_id]
            basis = self._bases.of(session, item.run_id, Task(instance.task))
            try:
                said = basis.said_by(call, queries.judged(instance))
            except Unparsable as error:
                endings.append(error)
                continue
            call.error_code, call.error_detail = how_read(said.marks)
            found = evidence.get(instance.id, {})
            judgement = judgement_of(instance, call, basis, said, found)
            judgements.append(judgement)
            ending = _await_a_person(judgement, found)
            if (
                item.stage == Stage.DISCRIMINATE
                and item.run_id in sending_back
                and can_be_corrected(judgement.overall, found)
            ):
                sent_back.append((judgement, found))
                instance.status = InstanceStatus.GENERATING  # nobody reads what is about to change
                ending = Ending(next_stage=Stage.CORRECT)
            endings.append(ending)
        queries.keep_verdicts(session, judgements)
        queries.keep_sent_back(
            session, [(one, what_was_found(one.answers, found)) for one, found in sent_back]
        )
        settled = [one for one in judgements if is_settled(one.answers) and one.call.error_code != REPAIRED]
        queries.keep_judged_cases(session, [(one.instance, _case_of(one)) for one in settled])
        return endings

    def give_up(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> Ending:
        """No readable verdict is an outcome of its own, never a "no": a person decides without one."""
        instance = session.get_one(Instance, item.source_id)
        basis = self._bases.of(session, item.run_id, Task(instance.task))
        judgement = Judgement(
            instance,
            call,
            Verdict.INVALID,
            (),
            basis.rules.content_hash,
            why_invalid=f"{error.code}: {error}",
        )
        queries.keep_verdicts(session, [judgement])
        return _await_a_person(judgement, {})


def judgement_of(
    instance: Instance, call: Call, basis: Basis, said: Opinion, evidence: Evidence
) -> Judgement:
    answers = basis.answers(queries.judged(instance), said, evidence)
    verdict = overall(answers)
    return Judgement(
        instance,
        call,
        verdict,
        answers,
        basis.rules.content_hash,
        claimed=said.claimed,
        contradictory=is_contradictory(verdict, said.claimed),
    )


def _case_of(judgement: Judgement) -> Case:
    instance = judgement.instance
    return Case(
        instance.instruction,
        instance.information,
        instance.solution,
        is_good=judgement.overall is Verdict.PASS,
        analysis=analysis(judgement.answers),
    )


def _await_a_person(judgement: Judgement, evidence: Evidence) -> Ending:
    """Whatever the verdict says, a person can see the instance: nothing that was rejected is dropped."""
    instance, verdict = judgement.instance, judgement.overall
    instance.status = InstanceStatus.WAITING
    instance.verdict = verdict
    instance.contradictory = judgement.contradictory
    instance.priority = priority(
        verdict,
        contradictory=judgement.contradictory,
        evidence_failed=any(found.result is Finding.FAIL for found in evidence.values()),
    )
    return Ending(outcome=OUTCOME_OF_VERDICT[verdict])

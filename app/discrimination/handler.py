"""What the engine asks of discrimination. Touches the database through its session; commits nothing."""

from sqlalchemy.orm import Session

from app.discrimination import prompts, queries
from app.discrimination.mechanical import machine_answers
from app.discrimination.offline import no_opinion, silence
from app.discrimination.opinion import (
    analysis,
    is_contradictory,
    is_settled,
    merged,
    overall,
    priority,
)
from app.discrimination.parsing import Opinion, opinion
from app.discrimination.rubric import asked_of, rules_hash, rules_of
from app.engine.handlers import Ending
from app.errors import Unparsable
from app.pipeline import OFFLINE, OUTCOME_OF_VERDICT, Finding, InstanceStatus, Stage, Task, Verdict
from app.prompting.exemplars import Case, draw_exemplars, draw_seed
from app.prompting.prompt import Answered, Prompt, Reply
from app.prompting.reading import REPAIRED
from app.storage.bank import cases_of, keep_templates, snapshot_of
from app.storage.tables import Call, Instance, WorkItem


class DiscriminationHandler:
    """Asks for a verdict on the instance `item.source_id` and keeps it, rule by rule."""

    def prepare(self, session: Session, item: WorkItem) -> Prompt | Answered:
        """The question, or the offline judge's silence."""
        instance, run = queries.asked_about(session, item.source_id)
        task = Task(instance.task)
        keep_templates(session, (prompts.template(task), prompts.rules_template(task)))
        if run.params["discriminator"] == OFFLINE:
            return silence(asked_of(task), rules_hash(task))
        seed = draw_seed(run.params["seed"], Stage.DISCRIMINATE, instance.text_hash)
        snapshot = snapshot_of(session, run.id, task)
        drawn = draw_exemplars(snapshot, seed, task, instance.language)
        prompt = prompts.ask(queries.judged(instance), *cases_of(session, drawn))
        return prompt._replace(good_exemplar_id=drawn.good, bad_exemplar_id=drawn.bad)

    def record(self, session: Session, item: WorkItem, call: Call) -> Ending:
        """Keep the answers; `overall` follows from them and from what the machine found."""
        instance = session.get_one(Instance, item.source_id)
        task = Task(instance.task)
        said = _said(call, task)
        if said.repaired:
            call.error_code = REPAIRED
        evidence = queries.evidence_about(session, instance)
        by_machine = machine_answers(queries.judged(instance), evidence)
        answers = merged(rules_of(task), said.answers, by_machine)
        verdict = overall(answers)
        contradictory = is_contradictory(verdict, said.claimed)
        queries.keep_verdict(
            session,
            instance,
            call,
            verdict,
            answers,
            claimed=said.claimed,
            contradictory=contradictory,
            rules_hash=rules_hash(task),
        )
        if is_settled(answers):
            case = Case(
                instance.instruction,
                instance.information,
                instance.solution,
                is_good=verdict is Verdict.PASS,
                analysis=analysis(answers),
            )
            queries.keep_judged_case(session, instance, case)
        evidence_failed = any(found.result is Finding.FAIL for found in evidence.values())
        return _await_a_person(instance, verdict, contradictory, evidence_failed)

    def give_up(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> Ending:
        """No readable verdict is an outcome of its own, never a "no": a person decides without one."""
        instance = session.get_one(Instance, item.source_id)
        queries.keep_verdict(
            session,
            instance,
            call,
            Verdict.INVALID,
            (),
            contradictory=False,
            why_invalid=f"{error.code}: {error}",
            rules_hash=rules_hash(Task(instance.task)),
        )
        return _await_a_person(instance, Verdict.INVALID, contradictory=False, evidence_failed=False)


def _said(call: Call, task: Task) -> Opinion:
    if call.model == OFFLINE:
        return Opinion(no_opinion(asked_of(task)), claimed=None, repaired=False)
    return opinion(Reply(call.reply or "", call.finish_reason or "", call.refusal), asked_of(task))


def _await_a_person(
    instance: Instance, verdict: Verdict, contradictory: bool, evidence_failed: bool
) -> Ending:
    """Whatever the verdict says, a person can see the instance: nothing that was rejected is dropped."""
    instance.status = InstanceStatus.WAITING
    instance.verdict = verdict
    instance.contradictory = contradictory
    instance.priority = priority(verdict, contradictory=contradictory, evidence_failed=evidence_failed)
    return Ending(outcome=OUTCOME_OF_VERDICT[verdict])

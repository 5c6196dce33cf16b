"""The discrimination handler: every judged instance can reach a person, with the answers that made its verdict."""

import json
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.discrimination.handler import DiscriminationHandler
from app.discrimination.prompts import template
from app.discrimination.queries import JUDGED_CASES_CAP, keep_judged_cases
from app.discrimination.rubric import asked_of, rules_hash, rules_of
from app.engine.handlers import Ending
from app.errors import Unparsable
from app.pipeline import InstanceStatus, Outcome, Task, Verdict
from app.prompting.exemplars import Case
from app.prompting.prompt import Answered, Prompt
from app.prompting.reading import REPAIRED, Mark
from app.prompting.untrusted import restored
from app.storage.tables import (
    Call,
    Evidence,
    Exemplar,
    Instance,
    RuleAnswer,
    Run,
    RunExemplar,
    Template,
    VerdictRow,
    WorkItem,
)
from tests.factories import make_call, make_instance, make_item

HANDLER = DiscriminationHandler()
TASK = Task.GENERATION


def judged_item(session: Session, model: str = "some-model", **values: Any) -> WorkItem:
    instance = make_instance(session, status=InstanceStatus.GENERATING, text_hash="hash", **values)
    run = session.get_one(Run, instance.run_id)
    run.params = {"generator": model, "discriminator": model, "seed": 3}
    add_evidence(session, instance, parses="pass", names_resolve="pass")
    return make_item(session, instance)


def add_evidence(session: Session, instance: Instance, **results: str) -> None:
    session.add_all(
        Evidence(instance_id=instance.id, revision=0, kind=kind, result=result)
        for kind, result in results.items()
    )
    session.flush()


def reply(overall: str = "yes", **changed: str) -> str:
    answers = {rule.rule: "yes" for rule in asked_of(TASK)} | changed
    value = {rule: {"reason": f"about {rule}", "answer": answer} for rule, answer in answers.items()}
    return json.dumps(value | {"overall": overall})


def instance_of(session: Session, item: WorkItem) -> Instance:
    return session.get_one(Instance, item.source_id)


def verdict_of(session: Session, item: WorkItem) -> VerdictRow:
    return session.scalars(select(VerdictRow).where(VerdictRow.instance_id == item.source_id)).one()


def record(session: Session, item: WorkItem, text: str, **values: Any) -> tuple[Ending, Call]:
    """As the engine does it after the last try."""
    call = make_call(session, item, text, **values)
    [ending] = HANDLER.record(session, [(item, call)])
    if isinstance(ending, Unparsable):
        ending = HANDLER.give_up(session, item, call, ending)
    assert isinstance(ending, Ending)
    return ending, call


def test_a_reply_without_a_verdict_is_not_a_rejection(session: Session) -> None:
    item = judged_item(session)
    ending, call = record(session, item, "I am not sure.")
    verdict = verdict_of(session, item)

    assert ending == Ending(outcome=Outcome.INVALID_VERDICT)
    assert (verdict.overall, verdict.call_id) == (Verdict.INVALID, call.id)
    assert verdict.why_invalid
    assert instance_of(session, item).status == InstanceStatus.WAITING
    assert session.scalars(select(func.count(RuleAnswer.id))).one() == 0


def test_a_missing_rule_is_an_invalid_verdict_that_names_it(session: Session) -> None:
    item = judged_item(session)
    value = json.loads(reply())
    del value["solution_answers"]
    record(session, item, json.dumps(value))

    assert "solution_answers" in (verdict_of(session, item).why_invalid or "")


def test_a_verdict_is_kept_rule_by_rule_with_who_answered(session: Session) -> None:
    item = judged_item(session)
    ending, _ = record(session, item, reply())
    verdict = verdict_of(session, item)
    answers = {
        row.rule: row
        for row in session.scalars(select(RuleAnswer).where(RuleAnswer.verdict_id == verdict.id))
    }

    assert ending == Ending(outcome=Outcome.PASSED)
    assert (verdict.overall, verdict.claimed, verdict.contradictory) == (Verdict.PASS, "yes", False)
    assert verdict.rules_hash == rules_hash(TASK)
    assert set(answers) == {rule.rule for rule in rules_of(TASK)}
    assert answers["code_parses"].checked_by == "machine"
    assert answers["solution_answers"].reason == "about solution_answers"


def test_an_overall_yes_over_a_broken_rule_is_a_fail_and_a_contradiction(session: Session) -> None:
    item = judged_item(session)
    ending, _ = record(session, item, reply(overall="yes.", solution_answers="No."))
    instance = instance_of(session, item)

    assert ending == Ending(outcome=Outcome.FAILED_VERDICT)
    assert (instance.verdict, instance.contradictory) == (Verdict.FAIL, True)
    assert instance.status == InstanceStatus.WAITING


def test_what_the_machine_found_outweighs_the_judges_yes(session: Session) -> None:
    item = judged_item(session, instruction="Write a function that adds one to a number.")
    ending, _ = record(session, item, reply())

    assert ending == Ending(outcome=Outcome.FAILED_VERDICT)


def test_the_queue_shows_doubtful_ones_first(session: Session) -> None:
    def priority(text: str, **results: str) -> int:
        item = judged_item(session)
        add_evidence(session, instance_of(session, item), **results)
        record(session, item, text)
        return instance_of(session, item).priority

    order = [
        priority("I am not sure."),
        priority(reply(), exact_duplicate="fail"),
        priority(reply("no", solution_answers="no")),
        priority(reply(), exact_duplicate="not_checked"),
    ]
    assert order == sorted(order)
    assert len(set(order)) == 4
    assert priority(reply("no")) == order[0]  # contradictory


def test_the_offline_judge_needs_no_model_and_claims_nothing(session: Session) -> None:
    item = judged_item(session, "offline")
    [answered] = HANDLER.prepare(session, [item])
    assert isinstance(answered, Answered)
    ending, _ = record(session, item, answered.reply.text, model="offline")
    verdict = verdict_of(session, item)
    answers = dict(
        session.execute(
            select(RuleAnswer.rule, RuleAnswer.answer).where(RuleAnswer.verdict_id == verdict.id)
        ).all()
    )

    assert ending == Ending(outcome=Outcome.PASSED)
    assert verdict.claimed is None
    assert answers["solution_answers"] == "not_checked"
    assert answers["language_named"] == "yes"


def test_a_good_and_a_bad_case_reach_the_judge(session: Session) -> None:
    item = judged_item(session)
    for is_good in (True, False):
        case = Case(f"Case {is_good}", "given", "def case(): ...", is_good, f"because {is_good}")
        keep_judged_cases(session, [(instance_of(session, item), case)])
    exemplars = session.scalars(select(Exemplar)).all()
    session.add_all(RunExemplar(run_id=item.run_id, exemplar_id=exemplar.id) for exemplar in exemplars)
    session.flush()
    [prompt] = HANDLER.prepare(session, [item])

    assert isinstance(prompt, Prompt)
    shown = restored(prompt.user)
    assert all(text in shown for text in ("Case True", "Case False", "because True", "because False"))
    assert {prompt.good_exemplar_id, prompt.bad_exemplar_id} == {exemplar.id for exemplar in exemplars}
    kept = set(session.scalars(select(Template.content_hash)))
    assert {template(TASK).content_hash, rules_hash(TASK)} <= kept
    assert prompt.template_hash in kept


def bank(session: Session) -> list[tuple[bool, str]]:
    return [(row.is_good, row.analysis) for row in session.scalars(select(Exemplar).order_by(Exemplar.id))]


def test_judged_cases_go_to_the_bank_with_their_analysis_once(session: Session) -> None:
    item = judged_item(session, solution="def one(x):\n    return x + 1\n")
    record(session, item, reply("no", solution_answers="no"))
    again = judged_item(session, pick=None, solution="def one(x):\n    return x + 1\n")
    instance_of(session, again).project_id = instance_of(session, item).project_id
    record(session, again, reply())

    assert bank(session) == [(False, "solution_answers: no. about solution_answers")]


def test_a_mended_reply_is_marked_and_teaches_nothing(session: Session) -> None:
    item = judged_item(session)
    ending, call = record(session, item, f"{reply()[:-1]},}}")

    assert ending == Ending(outcome=Outcome.PASSED)
    assert (call.error_code, call.error_detail) == (REPAIRED, Mark.MENDED)
    assert bank(session) == []


@pytest.mark.parametrize(("model", "text"), [("offline", ""), ("some-model", "I am not sure.")])
def test_what_was_not_fully_judged_teaches_nothing(session: Session, model: str, text: str) -> None:
    item = judged_item(session, model)
    record(session, item, text, model=model)

    assert bank(session) == []


def test_the_bank_is_bounded_and_a_running_snapshot_does_not_grow(session: Session) -> None:
    item = judged_item(session)
    for number in range(JUDGED_CASES_CAP):
        case = Case(f"Case {number}", "", "pass", is_good=True, analysis="")
        keep_judged_cases(session, [(instance_of(session, item), case)])
    record(session, item, reply())

    assert len(bank(session)) == JUDGED_CASES_CAP
    assert session.scalars(select(func.count()).select_from(RunExemplar)).one() == 0

"""A run renders from the prompts and judges by the rules that were in force at its start, whatever is switched later."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.discrimination import rulebook
from app.discrimination import service as rules
from app.discrimination.prompts import template as judges_template
from app.discrimination.rubric import CheckedBy, Rule, rules_hash
from app.generation.plan import Wanted
from app.generation.prompts import template
from app.generation.service import start_generation
from app.pipeline import Task
from app.prompting.prompt import Prompt
from app.prompts import service
from app.runtime.desks import DESKS
from app.storage.frozen import Frozen
from app.storage.tables import Instance, LogEntry, Person, Project, RuleAnswer, Run, VerdictRow
from app.storage.versions import templates_of
from tests.prompts.conftest import a_turn, instance_or_verdict

TASK = Task.GENERATION
MARK = "Write as Ada Lovelace would."
IDIOMATIC = Rule("idiomatic", "The code is idiomatic.", (TASK,), True, CheckedBy.MODEL, 0)


def start(session: Session, project: Project, lead: Person, seed: int = 0) -> Run:
    return start_generation(session, project, Wanted(tasks={TASK: 1}, count=1, seed=seed), lead)


def mark(session: Session, project: Project, kind: str) -> None:
    """Put a prompt in force that says MARK."""
    desk = DESKS[kind]
    content = desk.shipped(TASK).content.replace("\n\n---", f"\n\n{MARK}\n\n---")
    saved = service.save_prompt(session, project, desk, TASK, content, None)
    service.switch_prompt(session, project, desk, TASK, saved.key, None)


def add_a_rule(session: Session, project: Project) -> None:
    saved = rules.save_rule(session, project, rules.shown(session, project), IDIOMATIC, None)
    rules.switch_rules(session, project, saved.key, None)


@pytest.mark.usefixtures("with_model")
def test_what_is_switched_while_a_run_goes_on_is_asked_by_the_next_one(
    session: Session, project: Project, lead: Person
) -> None:
    earlier = start(session, project, lead)
    for kind in DESKS:
        mark(session, project, kind)
    add_a_rule(session, project)
    later = start(session, project, lead, seed=1)

    questions = a_turn(session)
    verdicts = a_turn(session)

    assert [MARK in one.system for one in questions] == [False, True]
    assert [MARK in one.system for one in verdicts] == [False, True]
    assert ["idiomatic" in one.schema["properties"] for one in verdicts] == [False, True]
    frozen = templates_of(session, earlier.id)
    assert frozen[f"generate/{TASK}"] == template(TASK).content_hash
    assert frozen[f"judge/{TASK}"] == judges_template(TASK).content_hash
    assert frozen[f"rules/{TASK}"] == rules_hash(TASK)
    assert later.params["templates"]["rules"] == rules.rules_in_force(session, project).content_hash


@pytest.mark.usefixtures("with_model")
def test_a_verdict_names_the_rules_of_its_run_and_answers_each_of_them(
    session: Session, project: Project, lead: Person
) -> None:
    add_a_rule(session, project)
    start(session, project, lead)
    a_turn(session)
    a_turn(session)

    verdict = session.scalars(select(VerdictRow)).one()
    answered = set(session.scalars(select(RuleAnswer.rule).where(RuleAnswer.verdict_id == verdict.id)))
    book = rules.rules_in_force(session, project).book
    assert verdict.rules_hash == rules.hashes_of(book)[TASK]
    assert answered == {rule.rule for rule in rulebook.rules_in(book, TASK)}


@pytest.mark.usefixtures("with_model")
def test_a_verdict_that_leaves_out_a_new_rule_is_asked_for_twice_more_and_then_invalid(
    session: Session, project: Project, lead: Person
) -> None:
    add_a_rule(session, project)
    run = start(session, project, lead)
    a_turn(session)

    def without_the_new_rule(prompt: Prompt) -> str:
        return instance_or_verdict(prompt).replace('"idiomatic"', '"idiotic"')

    asked = [a_turn(session, without_the_new_rule) for _ in range(4)]

    assert [len(one) for one in asked] == [1, 1, 1, 0]
    assert all("no answer to: idiomatic" in again[0].user for again in asked[1:3])
    instance = session.scalars(select(Instance).where(Instance.run_id == run.id)).one()
    assert (instance.verdict, instance.status) == ("invalid", "waiting")


def test_a_rule_for_one_language_is_asked_about_it_alone(session: Session, project: Project) -> None:
    only = IDIOMATIC._replace(language="ruby")
    saved = rules.save_rule(session, project, rules.shown(session, project), only, None)
    rules.switch_rules(session, project, saved.key, None)
    found = rulebook.rules_in(rules.rules_in_force(session, project).book, TASK)
    [rule] = [one for one in found if one.rule == "idiomatic"]

    assert rule.holds_for("ruby", None)
    assert rule.holds_for("python", "ruby")
    assert not rule.holds_for("python", None)


def test_a_new_product_does_not_change_what_a_run_has_fixed(session: Session, project: Project) -> None:
    run = Run(project_id=project.id, kind="generate", state="running", params={})
    session.add(run)
    session.flush()
    old, new = template(TASK), template(TASK)._replace(content="another", content_hash="1" * 64)

    assert Frozen([old]).template(session, run.id, old.name) == old
    assert Frozen([new]).template(session, run.id, old.name) == old


def test_switching_and_switching_back_stand_in_the_log(
    session: Session, project: Project, lead: Person
) -> None:
    desk = DESKS["judge"]
    content = desk.shipped(TASK).content.replace("\n\n---", f"\n\n{MARK}\n\n---")
    service.save_prompt(session, project, desk, TASK, content, lead.id, "as Ada")
    service.switch_prompt(session, project, desk, TASK, "1", lead.id)
    service.switch_prompt(session, project, desk, TASK, "shipped", lead.id)

    entries = session.scalars(
        select(LogEntry).where(LogEntry.project_id == project.id).order_by(LogEntry.id)
    ).all()
    assert [(one.action, one.detail.get("before"), one.detail.get("after")) for one in entries] == [
        ("prompt saved", None, None),
        ("prompt switched", "shipped", "version 1"),
        ("prompt switched", "version 1", "shipped"),
    ]
    assert service.standing(session, project, desk, TASK).force.version is None

"""A changed prompt or rule of the judge is tried on what people decided before runs start with it."""

from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.discrimination import service as rules
from app.discrimination.replaying import Wanted, start_replay
from app.discrimination.rubric import RULES, CheckedBy, Rule
from app.errors import Conflict, NotFound
from app.pipeline import Action, InstanceStatus, RunState, Scope, Task, Verdict
from app.prompts import service
from app.runtime.desks import DESKS
from app.storage.tables import Decision, Instance, LogEntry, Person, Project, ReplayVerdict, Run, Snippet
from tests.factories import make_instance, make_pick, make_run
from tests.prompts.conftest import a_turn
from tests.review.review_cases import judged
from tests.web.clients import signed_in, with_token

TASK = Task.GENERATION
IDIOMATIC = Rule("idiomatic", "The code is idiomatic.", (TASK,), True, CheckedBy.MODEL, 0)
NEVER = "never replayed"


@pytest.fixture
def decided(session: Session, project: Project, lead: Person) -> list[Instance]:
    """One instance of generation and one of repair, both accepted under a verdict."""
    run = make_run(session, project)
    snippet = session.scalars(select(Snippet).where(Snippet.project_id == project.id)).first()
    assert snippet is not None
    pick = make_pick(session, snippet)
    instances: list[Instance] = []
    for task in (TASK, Task.REPAIR):
        instance = make_instance(session, pick, run, task=task)
        verdict = judged(session, instance, {"solution_answers": "yes"})
        session.add(
            Decision(
                project_id=project.id,
                instance_id=instance.id,
                person_id=lead.id,
                stream="work",
                action=Action.ACCEPT,
                revision=0,
                verdict_id=verdict.id,
                created_at=datetime.now(UTC),
            )
        )
        instance.status = InstanceStatus.ACCEPTED
        instances.append(instance)
    session.flush()
    return instances


def a_prompt(session: Session, project: Project, kind: str = "judge") -> str:
    """Save a version that says a little more; gives its number."""
    desk = DESKS[kind]
    content = desk.shipped(TASK).content.replace("\n\n---", "\n\nBe strict.\n\n---")
    return service.save_prompt(session, project, desk, TASK, content, None).key


def a_rule(session: Session, project: Project) -> str:
    return rules.save_rule(session, project, rules.shown(session, project), IDIOMATIC, None).key


def replayed(session: Session, project: Project, lead: Person, wanted: Wanted) -> Run:
    """A replay to its end."""
    run = start_replay(session, project, wanted, lead)
    a_turn(session)
    session.execute(update(Run).where(Run.id == run.id).values(state=RunState.COMPLETED))
    return run


def test_where_nothing_is_decided_nothing_is_asked_for(session: Session, project: Project) -> None:
    key = a_prompt(session, project)
    assert service.switch_prompt(session, project, DESKS["judge"], TASK, key, None).is_in_force


@pytest.mark.usefixtures("with_model", "decided")
def test_a_prompt_comes_in_force_after_a_replay_of_it(
    session: Session, project: Project, lead: Person, with_model: str
) -> None:
    key = a_prompt(session, project)
    replayed(session, project, lead, Wanted(with_model))  # of what is in force: it says nothing about another
    with pytest.raises(Conflict, match=NEVER):
        service.switch_prompt(session, project, DESKS["judge"], TASK, key, None)

    run = replayed(session, project, lead, Wanted(with_model, prompts={TASK: key}))

    assert service.switch_prompt(session, project, DESKS["judge"], TASK, key, None).is_in_force
    assert run.params["prompts"] == {TASK: key}


@pytest.mark.usefixtures("with_model")
def test_a_replay_of_a_prompt_judges_the_decided_instances_of_its_task_by_it(
    session: Session, project: Project, lead: Person, with_model: str, decided: list[Instance]
) -> None:
    key = a_prompt(session, project)
    run = start_replay(session, project, Wanted(with_model, prompts={TASK: key}), lead)

    [asked] = a_turn(session)

    assert "Be strict." in asked.system
    [kept] = session.scalars(select(ReplayVerdict).where(ReplayVerdict.run_id == run.id))
    assert (kept.instance_id, kept.overall) == (decided[0].id, "pass")


@pytest.mark.usefixtures("decided")
def test_new_rules_are_replayed_and_other_weights_need_no_judge(
    session: Session, project: Project, lead: Person, with_model: str
) -> None:
    heavier = RULES[0]._replace(required=not RULES[0].required)
    weights = rules.save_rule(session, project, rules.shown(session, project), heavier, None).key
    assert rules.switch_rules(session, project, weights, None).is_in_force

    key = a_rule(session, project)
    with pytest.raises(Conflict, match=NEVER):
        rules.switch_rules(session, project, key, None)
    run = start_replay(session, project, Wanted(with_model, rules=key), lead)
    asked = a_turn(session)
    assert sorted("idiomatic" in one.schema["properties"] for one in asked) == [False, True]
    with pytest.raises(Conflict, match=NEVER):  # it is still going
        rules.switch_rules(session, project, key, None)
    session.execute(update(Run).where(Run.id == run.id).values(state=RunState.COMPLETED))
    assert rules.switch_rules(session, project, key, None).is_in_force


@pytest.mark.usefixtures("decided")
def test_the_generators_prompt_and_what_is_shipped_need_none(
    session: Session, project: Project, lead: Person
) -> None:
    assert service.switch_prompt(
        session, project, DESKS["generate"], TASK, a_prompt(session, project, "generate"), None
    ).is_in_force
    key = a_prompt(session, project)
    service.switch_prompt(session, project, DESKS["judge"], TASK, key, None, without_replay=True)
    assert service.switch_prompt(session, project, DESKS["judge"], TASK, "shipped", None).version is None

    said = session.scalars(
        select(LogEntry.detail).where(LogEntry.action == "prompt switched").order_by(LogEntry.id)
    )
    assert ["without_replay" in detail for detail in said] == [False, True, False]


@pytest.mark.usefixtures("decided")
def test_people_are_led_to_the_replay_and_may_do_without(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    key = a_rule(session, project)
    pages = signed_in(app, session, lead)

    page = pages.get(f"/rules?task={TASK}&version={key}").text
    assert f"rules={key}" in page
    assert "without a replay" in page
    form = pages.get(f"/quality/replay?rule.idiomatic=required&rules={key}&prompt={TASK}:shipped").text
    assert "No stored answer is about idiomatic" in form
    assert f'<option value="{key}" selected>' in form
    assert f'<option value="{TASK}:shipped" selected>' in form

    refused = pages.post("/rules/in-force", data={"version": key, "task": TASK})
    assert (refused.status_code, NEVER in refused.text) == (409, True)
    pages.post("/rules/in-force", data={"version": key, "task": TASK, "without_replay": "true"})
    assert rules.rules_in_force(session, project).key == key


@pytest.mark.usefixtures("decided")
def test_scripts_replay_a_version_and_a_wrong_one_is_named(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    key = a_rule(session, project)
    scripts = with_token(app, session, lead, Scope.ADMIN)
    address = f"/api/v1/projects/{project.slug}/quality/replay-runs"
    in_force = f"/api/v1/projects/{project.slug}/rules/in-force"

    wrong = scripts.post(address, json={"discriminator": "offline", "rules": "9"})
    assert (wrong.status_code, "no version 9" in wrong.text) == (404, True)
    with pytest.raises(NotFound):
        start_replay(session, project, Wanted("offline", prompts={TASK: "9"}), lead)
    started = scripts.post(address, json={"discriminator": "offline", "rules": key})
    assert (started.status_code, started.json()["total"]) == (202, 2)
    assert scripts.post(in_force, json={"version": int(key)}).status_code == 409
    assert scripts.post(in_force, json={"version": int(key), "without_replay": True}).json()["in_force"]
    assert session.scalar(select(Instance.verdict).where(Instance.task == TASK)) == Verdict.PASS

"""A replay asks another judge about decided instances, beside the verdicts that people saw; no instance changes."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.discrimination.replaying import ReplayHandler, Wanted, start_replay
from app.discrimination.rubric import asked_of
from app.engine.handlers import Ending
from app.errors import Conflict, InvalidInput, Unparsable
from app.pipeline import OFFLINE, Action, InstanceStatus, Outcome, Scope, Stage, Task, Verdict
from app.prompting.prompt import Answered, Prompt
from app.settings import settings
from app.storage.tables import (
    Decision,
    Instance,
    Person,
    Project,
    ReplayVerdict,
    Revision,
    Run,
    WorkItem,
)
from tests.factories import (
    make_call,
    make_instance,
    make_person,
    make_pick,
    make_project,
    make_run,
    make_snippet,
)
from tests.review.review_cases import judged
from tests.web.clients import application_on, signed_in, with_token

HANDLER = ReplayHandler()


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def lead(session: Session, project: Project) -> Person:
    return make_person(session, "admin", project, name="lead")


@pytest.fixture
def app(session: Session) -> FastAPI:
    return application_on(session)


@pytest.fixture
def rejected(session: Session, project: Project, lead: Person) -> Instance:
    """Passed by the judge, rejected by a person, and mended since."""
    pick = make_pick(session, make_snippet(session, project))
    instance = make_instance(session, pick, make_run(session, project), task=Task.GENERATION)
    session.add(
        Revision(
            instance_id=instance.id,
            number=0,
            instruction="Write it.",
            information="",
            solution="the first text",
        )
    )
    verdict = judged(session, instance, {"solution_answers": "yes"})
    session.add(
        Decision(
            project_id=project.id,
            instance_id=instance.id,
            person_id=lead.id,
            stream="work",
            action=Action.REJECT,
            revision=0,
            verdict_id=verdict.id,
            created_at=datetime.now(UTC),
        )
    )
    instance.status, instance.revision, instance.solution = InstanceStatus.REJECTED, 1, "a later text"
    session.flush()
    return instance


def reply(overall: str, **changed: str) -> str:
    answers = {rule.rule: "yes" for rule in asked_of(Task.GENERATION)} | changed
    return json.dumps(
        {rule: {"reason": "r", "answer": answer} for rule, answer in answers.items()} | {"overall": overall}
    )


def item_of(session: Session, run: Run) -> WorkItem:
    return session.scalars(select(WorkItem).where(WorkItem.run_id == run.id)).one()


@pytest.fixture
def with_model(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_it_is_asked_about_the_text_that_the_first_judge_saw_and_touches_no_instance(
    session: Session, project: Project, lead: Person, rejected: Instance, with_model: None
) -> None:
    run = start_replay(session, project, Wanted("another-model"), lead)
    item = item_of(session, run)

    [prompt] = HANDLER.prepare(session, [item])
    [ending] = HANDLER.record(session, [(item, make_call(session, item, reply("no", solution_answers="no")))])

    assert isinstance(prompt, Prompt)
    assert "the first text" in prompt.user
    assert "a later text" not in prompt.user
    assert ending == Ending(outcome=Outcome.FAILED_VERDICT)
    kept = session.get_one(ReplayVerdict, (run.id, rejected.id), populate_existing=True)
    assert (kept.overall, kept.is_good) == (Verdict.FAIL, False)
    assert (rejected.status, rejected.verdict) == (InstanceStatus.REJECTED, Verdict.PASS)


def test_an_answer_without_a_verdict_is_asked_again_and_then_invalid(
    session: Session, project: Project, lead: Person, rejected: Instance, with_model: None
) -> None:
    item = item_of(session, start_replay(session, project, Wanted("another-model"), lead))
    call = make_call(session, item, "I cannot say.")

    [unreadable] = HANDLER.record(session, [(item, call)])

    assert isinstance(unreadable, Unparsable)
    assert HANDLER.give_up(session, item, call, unreadable) == Ending(outcome=Outcome.INVALID_VERDICT)


def test_scripts_start_one_and_read_how_the_judges_compare(
    app: FastAPI, session: Session, project: Project, lead: Person, rejected: Instance
) -> None:
    scripts = with_token(app, session, lead, Scope.ADMIN)
    base = f"/api/v1/projects/{project.slug}/quality"

    estimate = scripts.post(f"{base}/replay-runs/estimate", json={"discriminator": OFFLINE})
    started = scripts.post(f"{base}/replay-runs", json={"discriminator": OFFLINE})
    assert (started.status_code, started.json()["kind"], started.json()["total"]) == (202, "replay", 1)
    assert estimate.json() == {"instances": 1, "cost_usd": 0.0}
    assert started.headers["Location"].endswith(f"/runs/{started.json()['id']}")

    item = item_of(session, session.get_one(Run, started.json()["id"]))
    [silence] = HANDLER.prepare(session, [item])
    assert isinstance(silence, Answered)
    HANDLER.record(session, [(item, make_call(session, item, silence.reply.text, model=OFFLINE))])

    found = scripts.get(f"{base}/replays/{started.json()['id']}").json()
    assert (found["instances"], found["before"]["passed_defective"]) == (1, 1)
    assert found["only_before_right"] == 0
    page = signed_in(app, session, lead).get(f"/quality/replays/{started.json()['id']}").text
    assert "Replay by offline" in page
    assert "1 of 1 answered" in page


def test_nothing_decided_and_a_model_without_a_provider_are_said_by_name(
    session: Session, project: Project, lead: Person
) -> None:
    with pytest.raises(Conflict, match="nothing to replay"):
        start_replay(session, project, Wanted(OFFLINE), lead)
    with pytest.raises(InvalidInput, match="no provider is configured"):
        start_replay(session, project, Wanted("another-model"), lead)
    assert item_count(session, Stage.REPLAY) == 0


def item_count(session: Session, stage: Stage) -> int:
    return len(session.scalars(select(WorkItem.id).where(WorkItem.stage == stage)).all())

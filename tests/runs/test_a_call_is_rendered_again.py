"""What a call asked is made again from the ids that it kept, and is the same or says that it is not."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session

from app.discrimination.handler import DiscriminationHandler
from app.engine.calls import request_hash
from app.generation import prompts as teacher
from app.generation.handler import GenerationHandler
from app.pipeline import OFFLINE, InstanceStatus, Scope, Stage
from app.prompting.prompt import Prompt
from app.prompting.repeating import again
from app.storage.bank import keep_templates
from app.storage.tables import Call, Instance, Person, Project, Revision, WorkItem
from tests.factories import (
    make_call,
    make_instance,
    make_item,
    make_person,
    make_pick,
    make_project,
    make_run,
    make_snippet,
)
from tests.web.clients import application_on, with_token

MODEL = "some-model"


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def reader(session: Session, project: Project) -> Person:
    return make_person(session, "viewer", project, name="reader")


@pytest.fixture
def app(session: Session) -> FastAPI:
    return application_on(session)


@pytest.fixture
def item(session: Session, project: Project) -> WorkItem:
    run = make_run(session, project, params={"generator": MODEL, "discriminator": MODEL, "seed": 3})
    pick = make_pick(session, make_snippet(session, project))
    instance = make_instance(session, pick, run, status=InstanceStatus.GENERATING, text_hash="1")
    keep_templates(session, [teacher.template(instance.task)])
    return make_item(session, instance, Stage.GENERATE)


def sent(session: Session, item: WorkItem, prompt: Prompt) -> Call:
    """As the engine keeps a question."""
    return make_call(
        session,
        item,
        "{}",
        model=MODEL,
        request_hash=request_hash(prompt, MODEL),
        template_hash=prompt.template_hash,
        good_exemplar_id=prompt.good_exemplar_id,
        bad_exemplar_id=prompt.bad_exemplar_id,
        repeats=prompt.repeats,
    )


def messages(app: FastAPI, session: Session, reader: Person, call: Call) -> Any:
    return with_token(app, session, reader, Scope.READ).get(f"/api/v1/calls/{call.id}/messages")


def test_a_question_to_the_generator_repeated_or_not(
    app: FastAPI, session: Session, reader: Person, item: WorkItem
) -> None:
    [prompt] = GenerationHandler(check=lambda *_: None).prepare(session, [item])
    assert isinstance(prompt, Prompt)
    repeated = again(prompt, "the reply was empty")

    for asked in (prompt, repeated):
        found = messages(app, session, reader, sent(session, item, asked)).json()
        assert found["same"] is True
        assert (found["system"], found["user"]) == (asked.system, asked.user)


def test_a_question_to_the_judge_about_a_text_that_people_changed_since(
    app: FastAPI, session: Session, reader: Person, item: WorkItem
) -> None:
    judging = make_item(session, session.get_one(Instance, item.source_id), Stage.DISCRIMINATE)
    instance = session.get_one(Instance, item.source_id)
    [prompt] = DiscriminationHandler().prepare(session, [judging])
    assert isinstance(prompt, Prompt)
    call = sent(session, judging, prompt)
    texts = {name: getattr(instance, name) for name in ("instruction", "information", "solution")}
    session.add(Revision(instance_id=instance.id, number=0, **texts))
    instance.revision, instance.solution = 1, "another text"
    session.flush()

    found = messages(app, session, reader, call).json()

    assert (found["same"], found["user"]) == (True, prompt.user)


def test_a_changed_snippet_is_not_passed_off_as_what_was_asked(
    app: FastAPI, session: Session, reader: Person, item: WorkItem
) -> None:
    [prompt] = GenerationHandler(check=lambda *_: None).prepare(session, [item])
    assert isinstance(prompt, Prompt)
    call = sent(session, item, prompt)
    instance = session.get_one(Instance, item.source_id)
    instance.candidate = 7
    session.flush()

    assert messages(app, session, reader, call).json()["same"] is False


def test_the_offline_teacher_was_asked_nothing_and_strangers_learn_of_no_call(
    app: FastAPI, session: Session, reader: Person, item: WorkItem
) -> None:
    offline = make_call(session, item, json.dumps({}), model=OFFLINE)
    stranger = make_person(session, "viewer", make_project(session, slug="elsewhere"), name="stranger")

    assert messages(app, session, reader, offline).status_code == 409
    assert messages(app, session, stranger, offline).status_code == 404

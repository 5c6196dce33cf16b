"""The generation handler: questions, records, and giving up."""

import json

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.engine.handlers import Ending
from app.errors import Unparsable
from app.evidence.service import gather_evidence
from app.generation.handler import GenerationHandler
from app.generation.prompts import template
from app.generation.queries import freeze_snapshot, keep_shipped_cases
from app.pipeline import InstanceStatus, Outcome, Stage, Task
from app.prompting.prompt import Answered, Prompt
from app.prompting.untrusted import restored
from app.storage.tables import Exemplar, Instance, Revision, Run, WorkItem
from tests.factories import make_call, make_instance, make_item, make_pick, make_snippet

HANDLER = GenerationHandler(check=gather_evidence)
TEXT = {
    "task_name": "code repair",
    "instruction": "Repair this Python function.",
    "information": "def f(x):\n    return x - 1",
    "solution": "def f(x):\n    return x + 1",
}


def item_of(session: Session, model: str = "some-model", task: Task = Task.REPAIR) -> WorkItem:
    pick = make_pick(session, make_snippet(session))
    snippet_project = session.get_one(Run, make_instance(session, pick).run_id).project_id
    run = Run(
        project_id=snippet_project,
        kind="generate",
        state="running",
        params={"generator": model, "discriminator": model, "seed": 3},
    )
    session.add(run)
    session.flush()
    instance = make_instance(
        session, pick, run, task=task, status=InstanceStatus.GENERATING, instruction="", solution=""
    )
    return make_item(session, instance, Stage.GENERATE)


def instance_of(session: Session, item: WorkItem) -> Instance:
    return session.get_one(Instance, item.source_id)


def test_the_question_shows_one_whole_good_and_one_whole_bad_case(session: Session) -> None:
    item = item_of(session)
    keep_shipped_cases(session)
    freeze_snapshot(session, session.get_one(Run, item.run_id), Task, seed=3)
    [prompt] = HANDLER.prepare(session, [item])

    assert isinstance(prompt, Prompt)
    good = session.get_one(Exemplar, prompt.good_exemplar_id)
    bad = session.get_one(Exemplar, prompt.bad_exemplar_id)
    assert (good.is_good, bad.is_good) == (True, False)
    shown = restored(prompt.user)
    for case in (good, bad):
        assert case.task == Task.REPAIR
        assert case.solution in shown
        assert case.analysis in shown
    assert prompt.template_hash == template(Task.REPAIR).content_hash
    assert HANDLER.prepare(session, [item]) == [prompt]


def test_the_offline_teacher_answers_at_once_and_its_mutation_is_noted(session: Session) -> None:
    item = item_of(session, "offline")
    [answered] = HANDLER.prepare(session, [item])

    assert isinstance(answered, Answered)
    assert instance_of(session, item).bug
    assert HANDLER.record(session, [(item, make_call(session, item, answered.reply.text))]) == [
        Ending(next_stage=Stage.DISCRIMINATE)
    ]


def test_a_good_reply_is_kept_as_the_models_own_revision(session: Session) -> None:
    item = item_of(session)
    [ending] = HANDLER.record(session, [(item, make_call(session, item, json.dumps(TEXT)))])
    instance = instance_of(session, item)
    revision = session.scalars(select(Revision).where(Revision.instance_id == instance.id)).one()

    assert ending == Ending(next_stage=Stage.DISCRIMINATE)
    assert (instance.instruction, instance.solution) == (TEXT["instruction"], TEXT["solution"])
    assert instance.text_hash
    assert (revision.number, revision.person_id, revision.information) == (0, None, TEXT["information"])
    assert instance.status == InstanceStatus.GENERATING  # until it has a verdict


def test_a_mended_reply_is_marked_on_its_call(session: Session) -> None:
    item = item_of(session)
    call = make_call(session, item, json.dumps(TEXT)[:-1] + ",}")
    HANDLER.record(session, [(item, call)])

    assert call.error_code == "repaired_json"


@pytest.mark.parametrize(
    ("reply", "values", "reason"),
    [
        ("I would rather not.", {}, "unparsable"),
        (json.dumps(TEXT), {"finish_reason": "length"}, "cut_off"),
        (json.dumps(TEXT)[:-20], {}, "cut_off"),
        ("", {"refusal": "no"}, "refused"),
        ("", {}, "empty"),
    ],
)
def test_what_cannot_be_used_says_why_and_changes_nothing_until_given_up(
    session: Session, reply: str, values: dict[str, str], reason: str
) -> None:
    item = item_of(session)
    call = make_call(session, item, reply, **values)
    [error] = HANDLER.record(session, [(item, call)])
    instance = instance_of(session, item)
    assert isinstance(error, Unparsable)
    assert (error.code, instance.status) == (reason, InstanceStatus.GENERATING)

    assert HANDLER.give_up(session, item, call, error) == Ending(outcome=Outcome.UNUSABLE)
    assert (instance.status, instance.unusable_reason) == (InstanceStatus.UNUSABLE, reason)
    assert call.reply == reply

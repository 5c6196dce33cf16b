"""A text that its verdict speaks against goes back to its generator, once, with what was found."""

import json
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.engine.calls import request_hash
from app.engine.closing import end_open_items
from app.engine.rereading import Came, look
from app.errors import InvalidInput
from app.generation.plan import Wanted
from app.generation.service import check_order, estimate, start_generation
from app.pipeline import InstanceStatus, ItemState, Outcome, RunState, Scope, Stage, Task
from app.prompting.prompt import Prompt
from app.runtime.desks import RENDERERS
from app.runtime.rereaders import REREADERS
from app.storage.tables import Call, Instance, Person, Project, Run, RunCount, SentBack, VerdictRow, WorkItem
from tests.prompts.conftest import a_turn, app, lead, project, with_model
from tests.web.clients import signed_in, with_token

__all__ = ["app", "lead", "project", "with_model"]  # fixtures

FIRST = "def add(x):\n    return x + 1"
BETTER = "def add(x):\n    # one more\n    return 1 + x"

Answer = Callable[[Prompt], str]


def verdict(prompt: Prompt, word: str) -> str:
    rules = [name for name in prompt.schema["properties"] if name != "overall"]
    answers = {rule: {"reason": "the sum is off", "answer": word} for rule in rules}
    return json.dumps(answers | {"overall": word})


def text(solution: str) -> str:
    keys = {"task_name": "code generation", "instruction": "Write a Python function that adds one."}
    return json.dumps(keys | {"information": "def add(x):", "solution": solution})


def says(written: str, word: str) -> Answer:
    """A model that writes this, and judges so."""
    return lambda prompt: verdict(prompt, word) if prompt.schema_name == "verdict" else text(written)


def start(session: Session, project: Project, lead: Person, **values: object) -> Run:
    wanted = {"tasks": {Task.GENERATION: 1}, "count": 1, "send_back": True} | values
    return start_generation(session, project, Wanted(**wanted), lead)  # type: ignore[arg-type]


def instance_of(session: Session, run: Run) -> Instance:
    return session.scalars(select(Instance).where(Instance.run_id == run.id)).one()


def counts(session: Session, run: Run) -> dict[str, int]:
    rows = session.execute(select(RunCount.code, RunCount.rows).where(RunCount.run_id == run.id))
    return {code: number for code, number in rows if number}


@pytest.fixture
def corrected(session: Session, project: Project, lead: Person, with_model: str) -> Instance:
    """Failed at first, and passed with a better text."""
    run = start(session, project, lead)
    a_turn(session, says(FIRST, "no"))
    a_turn(session, says(FIRST, "no"))
    a_turn(session, says(BETTER, "yes"))
    a_turn(session, says(BETTER, "yes"))
    return instance_of(session, run)


@pytest.mark.usefixtures("with_model")
def test_the_generator_is_told_what_was_found_and_the_better_text_is_judged_anew(
    session: Session, project: Project, lead: Person
) -> None:
    run = start(session, project, lead)
    a_turn(session, says(FIRST, "no"))
    a_turn(session, says(FIRST, "no"))
    instance = instance_of(session, run)
    assert (instance.status, counts(session, run)) == (InstanceStatus.GENERATING, {})

    [asked] = a_turn(session, says(BETTER, "yes"))
    assert all(words in asked.user for words in (FIRST, "the sum is off", "Not met: "))
    assert (instance.solution, instance.verdict) == (BETTER, None)
    [judged] = a_turn(session, says(BETTER, "yes"))

    assert BETTER in judged.user
    assert (instance.status, instance.verdict) == (InstanceStatus.WAITING, "pass")
    assert counts(session, run) == {Outcome.PASSED: 1}
    first = session.get_one(SentBack, instance.id)
    assert (first.solution, first.why_kept, instance.revision) == (FIRST, None, 0)
    assert a_turn(session) == []


@pytest.mark.usefixtures("with_model")
def test_it_never_goes_back_a_second_time(session: Session, project: Project, lead: Person) -> None:
    run = start(session, project, lead)
    for written in (FIRST, FIRST, BETTER, BETTER):
        a_turn(session, says(written, "no"))

    assert a_turn(session) == []
    assert counts(session, run) == {Outcome.FAILED_VERDICT: 1}
    verdicts = session.scalars(
        select(VerdictRow).where(VerdictRow.instance_id == instance_of(session, run).id)
    )
    assert [one.overall for one in verdicts] == ["fail", "fail"]


@pytest.mark.usefixtures("with_model")
@pytest.mark.parametrize(
    ("second", "why"), [("I cannot.", "refused"), (text(FIRST), "the same text came back")]
)
def test_without_a_better_text_the_first_one_stays_and_says_why(
    session: Session, project: Project, lead: Person, second: str, why: str
) -> None:
    run = start(session, project, lead)
    a_turn(session, says(FIRST, "no"))
    a_turn(session, says(FIRST, "no"))
    for _ in range(3):
        a_turn(session, lambda prompt: second)

    instance = instance_of(session, run)
    assert (instance.solution, instance.verdict, instance.status) == (FIRST, "fail", InstanceStatus.WAITING)
    assert why in (session.get_one(SentBack, instance.id).why_kept or "")
    assert counts(session, run) == {Outcome.FAILED_VERDICT: 1}


@pytest.mark.usefixtures("with_model")
def test_a_text_that_passes_stays_and_so_does_every_one_where_nobody_asked(
    session: Session, project: Project, lead: Person
) -> None:
    runs = [start(session, project, lead), start(session, project, lead, send_back=False, seed=1)]
    a_turn(session, says(FIRST, "yes"))
    a_turn(session, lambda prompt: verdict(prompt, "yes"))
    assert session.scalar(select(SentBack.instance_id)) is None
    assert [counts(session, run) for run in runs] == [{Outcome.PASSED: 1}] * 2

    unasked = start(session, project, lead, send_back=False, seed=2)
    a_turn(session, says(BETTER, "no"))
    a_turn(session, says(BETTER, "no"))
    assert counts(session, unasked) == {Outcome.FAILED_VERDICT: 1}


@pytest.mark.usefixtures("with_model")
def test_a_cancelled_correction_leaves_the_first_text_to_people(
    session: Session, project: Project, lead: Person
) -> None:
    run = start(session, project, lead)
    a_turn(session, says(FIRST, "no"))
    a_turn(session, says(FIRST, "no"))

    end_open_items(session, run.id, ItemState.SKIPPED, Outcome.CANCELLED)

    instance = instance_of(session, run)
    session.refresh(instance)
    assert (instance.status, instance.verdict) == (InstanceStatus.WAITING, "fail")


def test_every_call_of_the_loop_renders_again_and_its_replies_are_not_read_again(
    session: Session, corrected: Instance
) -> None:
    calls = session.scalars(select(Call).where(Call.source_id == corrected.id).order_by(Call.id)).all()

    assert [call.stage for call in calls] == [
        Stage.GENERATE,
        Stage.DISCRIMINATE,
        Stage.CORRECT,
        Stage.CONFIRM,
    ]
    for call in calls:
        assert request_hash(RENDERERS[Stage(call.stage)](session, call), call.model) == call.request_hash
    session.get_one(Run, corrected.run_id).state = RunState.COMPLETED
    assert look(session, corrected.run_id, REREADERS).counts[Came.SENT_BACK] == 1


def test_people_see_that_it_went_back_and_both_texts(
    app: FastAPI, session: Session, project: Project, lead: Person, corrected: Instance
) -> None:
    pages = signed_in(app, session, lead)
    for page in (pages.get("/review").text, pages.get(f"/instances/{corrected.id}").text):
        assert "Sent back to the generator once" in page
        assert "the sum is off" in page
        assert "What the correction changed in the solution" in page

    told = with_token(app, session, lead, Scope.READ).get(f"/api/v1/instances/{corrected.id}").json()
    assert (told["sent_back"]["solution"], told["solution"]) == (FIRST, BETTER)
    assert told["sent_back"]["why_kept"] is None
    assert len(told["calls"]) == 4
    assert told["prompt_hash"] == told["calls"][2]["template_hash"]


def test_the_offline_teacher_corrects_nothing_and_the_estimate_counts_what_goes_back(
    session: Session, project: Project, lead: Person, with_model: str
) -> None:
    with pytest.raises(InvalidInput, match="only a model can correct") as refused:
        start(session, project, lead, generator="offline")
    assert refused.value.field == "send_back"

    def cost(*, send_back: bool) -> int:
        wanted = Wanted(tasks={Task.GENERATION: 1}, count=100, send_back=send_back)
        found = estimate(session, check_order(session, project, wanted)).cost_micro
        assert found is not None
        return found

    assert 1.25 < cost(send_back=True) / cost(send_back=False) < 1.5
    assert session.scalar(select(WorkItem.id)) is None

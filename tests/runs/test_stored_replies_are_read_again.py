"""After a change of the parsers: what it would change is seen before, and is changed without asking a model.

What older parsers made of the replies is put into the database by hand.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from app.discrimination.rubric import asked_of
from app.engine.asking import Departure, take_off
from app.engine.closing import close, finish
from app.engine.goals import add_goals, lanes_of
from app.engine.handlers import Ending
from app.engine.items import claim
from app.engine.rereading import Came, look, read_again
from app.engine.runs import complete_runs, progress_of, resume_run
from app.errors import Conflict, Unparsable
from app.pipeline import MODEL_STAGES, InstanceStatus, RunState, Scope, Stage, Task, Verdict
from app.prompting.reading import REPAIRED
from app.runtime.rereaders import REREADERS
from app.runtime.wiring import HANDLERS
from app.storage.tables import (
    Call,
    Decision,
    Instance,
    Lease,
    Project,
    Revision,
    Run,
    RunCount,
    VerdictRow,
    WorkItem,
)
from tests.factories import (
    make_call,
    make_instance,
    make_item,
    make_person,
    make_pick,
    make_project,
    make_run,
)
from tests.web.clients import application_on, signed_in, with_token

TASK = Task.GENERATION
TEXT = {
    "task_name": "code generation",
    "instruction": "Write a Python function that adds one to a number.",
    "information": "",
    "solution": "def add_one(x):\n    return x + 1\n",
}
YES = {rule.rule: {"reason": "seen", "answer": "yes"} for rule in asked_of(TASK)} | {"overall": "yes"}
NO = YES | {"solution_answers": {"reason": "It adds two.", "answer": "no"}, "overall": "no"}


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def run_of(session: Session, project: Project, judge: str = "test", **values: Any) -> Run:
    params = {"generator": "test", "discriminator": judge, "seed": 3}
    return make_run(session, project, params=params, cost_micro=300, **values)


def answered(session: Session, run: Run, text: str, stage: Stage, **values: Any) -> None:
    """The one item that is due gets this reply from a model, as the engine records it after the last try."""
    [item] = claim(session, [stage], 1, "test")
    call = make_call(session, item, text, **values)
    [ending] = HANDLERS[stage].record(session, [(item, call)])
    call.usable = not isinstance(ending, Unparsable)
    why = None
    if isinstance(ending, Unparsable):
        why = (ending.code, str(ending))
        ending = HANDLERS[stage].give_up(session, item, call, ending)
    assert isinstance(ending, Ending)
    session.flush()
    close(session, [finish(item, ending, why)])


def made(
    session: Session, run: Run, text: str, verdict: str | None = None, lane: str | None = None
) -> Instance:
    """An instance of a run as its replies make it."""
    blank = dict.fromkeys(("task_name", "instruction", "information", "solution"), "")
    instance = make_instance(session, make_pick(session), run, status=InstanceStatus.GENERATING, **blank)
    instance.project_id = run.project_id
    instance.generator, instance.discriminator = "test", run.params["discriminator"]
    make_item(session, instance, Stage.GENERATE, lane=lane)
    run.total += 1
    answered(session, run, text, Stage.GENERATE)
    if verdict is not None:
        answered(session, run, verdict, Stage.DISCRIMINATE)
    return instance


class Cast(NamedTuple):
    same: int
    usable: int
    verdict: int
    changed: int
    judged: int
    refused: int
    marked: int
    decided: int
    held: int


def cast(session: Session, run: Run) -> Cast:
    """One instance of each kind, as parsers before ours left it."""
    good, yes = json.dumps(TEXT), json.dumps(YES)
    same = made(session, run, good, yes)
    usable = made(session, run, "nothing to read")
    verdict = made(session, run, good, "nothing to read")
    changed = made(session, run, good, yes)
    judged = made(session, run, good, yes)
    refused = made(session, run, good, yes)
    marked = made(session, run, good[:-1] + ",}", yes)
    decided = made(session, run, good, "nothing to read")
    held = made(session, run, "nothing to read")

    def reply(instance: Instance, stage: Stage) -> Call:
        return session.scalars(select(Call).where(Call.source_id == instance.id, Call.stage == stage)).one()

    reply(usable, Stage.GENERATE).reply = good
    reply(verdict, Stage.DISCRIMINATE).reply = yes
    changed.solution = "def add_one(x): ...  # as it was misread"
    reply(judged, Stage.DISCRIMINATE).reply = json.dumps(NO)
    reply(refused, Stage.GENERATE).reply = good[:-9]
    reply(marked, Stage.GENERATE).error_code = None
    reply(decided, Stage.DISCRIMINATE).reply = yes
    reader = make_person(session)
    session.add(
        Decision(
            instance_id=decided.id,
            person_id=reader.id,
            project_id=run.project_id,
            stream="work",
            action="accept",
            revision=0,
        )
    )
    soon = func.now() + func.make_interval(0, 0, 0, 1)
    session.add(Lease(instance_id=held.id, person_id=reader.id, stream="work", token="held", expires_at=soon))
    session.flush()
    complete_runs(session)
    session.refresh(run)
    assert run.state == RunState.COMPLETED
    return Cast(*(one.id for one in (same, usable, verdict, changed, judged, refused, marked, decided, held)))


COUNTS = {
    Came.USABLE: 2,
    Came.CHANGED: 2,
    Came.REFUSED: 1,
    Came.MARKED: 1,
    Came.SAME: 1,
    Came.DECIDED: 1,
    Came.IN_HAND: 1,
    Came.SENT_BACK: 0,
    Came.OTHER_RULES: 0,
    Came.WITHOUT_REPLY: 0,
}


def rows(session: Session, run: Run) -> object:
    """Everything that reading again may change."""
    session.flush()
    session.expire_all()
    tables = (WorkItem, RunCount, Call, Instance, Revision, VerdictRow)
    return [
        [
            tuple(row)
            for row in session.execute(select(table.__table__).order_by(*table.__table__.primary_key))
        ]
        for table in tables
    ]


def outcomes(session: Session, run: Run) -> dict[str, int]:
    """As its items have them; the counts that are kept beside must say the same."""
    session.flush()
    session.expire_all()
    found = Counter(
        session.scalars(
            select(WorkItem.outcome).where(WorkItem.run_id == run.id, WorkItem.outcome.is_not(None))
        )
    )
    progress = progress_of(session, run)
    assert progress.done == found
    assert progress.total == sum(progress.done.values()) + progress.pending == run.total
    return dict(found)


def drained(session: Session) -> list[Departure]:
    """Work until nothing is due; what would be sent to a model."""
    departures: list[Departure] = []
    while items := claim(session, MODEL_STAGES, 100, "test"):
        departures += take_off(session, HANDLERS, items).departures
    complete_runs(session)
    session.flush()
    session.expire_all()
    return departures


def test_a_look_counts_every_instance_and_changes_nothing(session: Session, project: Project) -> None:
    run = run_of(session, project)
    who = cast(session, run)
    before = rows(session, run)

    found = look(session, run.id, REREADERS)

    assert found.counts == COUNTS
    assert sum(found.counts.values()) == run.total
    assert {(one.instance_id, one.came) for one in found.examples} == {
        (who.usable, Came.USABLE),
        (who.verdict, Came.USABLE),
        (who.changed, Came.CHANGED),
        (who.judged, Came.CHANGED),
        (who.refused, Came.REFUSED),
    }
    assert rows(session, run) == before


def test_what_reads_differently_is_done_again_and_no_model_is_asked(
    session: Session, project: Project
) -> None:
    run = run_of(session, project)
    who = cast(session, run)
    left_alone = [session.get_one(Instance, one).status for one in (who.same, who.decided, who.held)]
    assert outcomes(session, run) == {"passed": 5, "invalid_verdict": 2, "unusable": 2}

    found = read_again(session, run.id, REREADERS)

    assert found.counts == COUNTS
    assert outcomes(session, run) == {"passed": 2, "invalid_verdict": 1, "unusable": 1}
    assert progress_of(session, run).pending == found.again == 5
    assert drained(session) == []
    assert run.state == RunState.PAUSED
    assert "resume" in (run.reason or "")
    assert run.cost_micro == 300
    assert outcomes(session, run) == {"passed": 3, "failed_verdict": 1, "invalid_verdict": 1, "unusable": 2}

    def now(instance_id: int) -> Instance:
        return session.get_one(Instance, instance_id)

    assert [now(one).status for one in (who.same, who.decided, who.held)] == left_alone
    assert now(who.usable).solution == now(who.changed).solution == TEXT["solution"]
    assert now(who.verdict).verdict == Verdict.PASS
    assert now(who.judged).verdict == Verdict.FAIL
    assert (now(who.refused).status, now(who.refused).unusable_reason) == ("unusable", "cut_off")
    assert (now(who.refused).solution, now(who.refused).verdict) == ("", None)
    marked = session.scalars(
        select(Call).where(Call.source_id == who.marked, Call.stage == Stage.GENERATE)
    ).one()
    assert marked.error_code == REPAIRED


def test_a_resumed_run_asks_for_the_verdicts_that_are_missing(session: Session, project: Project) -> None:
    run = run_of(session, project)
    who = cast(session, run)
    read_again(session, run.id, REREADERS)
    drained(session)

    resume_run(session, run.id)
    session.execute(update(WorkItem).values(next_attempt_at=func.now()))
    asked = drained(session)

    assert {(one.item.source_id, one.item.stage) for one in asked} == {
        (who.usable, Stage.DISCRIMINATE),
        (who.changed, Stage.DISCRIMINATE),
    }


def test_the_offline_judge_needs_no_leave_and_the_second_time_nothing_changes(
    session: Session, project: Project
) -> None:
    run = run_of(session, project, judge="offline")
    one = made(session, run, json.dumps(TEXT))
    other = made(session, run, "nothing to read")
    drained(session)
    session.scalars(select(Call).where(Call.source_id == other.id)).one().reply = json.dumps(TEXT)
    session.get_one(Instance, one.id).solution = "misread"
    complete_runs(session)

    read_again(session, run.id, REREADERS)
    drained(session)

    assert run.state == RunState.COMPLETED
    assert outcomes(session, run) == {"passed": 2}
    again = read_again(session, run.id, REREADERS)
    assert (again.counts[Came.SAME], again.again) == (2, 0)
    session.refresh(run)
    assert run.state == RunState.COMPLETED


def test_goals_keep_adding_up(session: Session, project: Project) -> None:
    run = run_of(session, project)
    lane = "generation/python"
    add_goals(session, run.id, {lane: 2})
    made(session, run, json.dumps(TEXT), json.dumps(YES), lane)
    bad = made(session, run, "nothing to read", lane=lane)
    session.scalars(select(Call).where(Call.source_id == bad.id)).one().reply = json.dumps(TEXT)
    complete_runs(session)
    [before] = lanes_of(session, run.id)

    read_again(session, run.id, REREADERS)
    [after] = lanes_of(session, run.id)

    assert (before.passed, before.ended) == (1, 1)
    assert (after.passed, after.ended, after.active - before.active) == (1, 0, 1)


def test_what_other_rules_judged_or_nobody_answered_is_left_alone(session: Session, project: Project) -> None:
    run = run_of(session, project)
    old = made(session, run, json.dumps(TEXT), json.dumps(YES))
    silent = made(session, run, "nothing to read")
    session.scalars(select(VerdictRow).where(VerdictRow.instance_id == old.id)).one().rules_hash = "0" * 64
    session.execute(delete(Call).where(Call.source_id == silent.id))
    complete_runs(session)

    counts = look(session, run.id, REREADERS).counts

    assert (counts[Came.OTHER_RULES], counts[Came.WITHOUT_REPLY]) == (1, 1)


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.CANCELLED, RunState.FAILED])
def test_a_run_that_is_going_or_was_given_up_is_refused(
    session: Session, project: Project, state: RunState
) -> None:
    run = run_of(session, project, state=state)

    for read in (look, read_again):
        with pytest.raises(Conflict, match=state):
            read(session, run.id, REREADERS)


def test_a_long_run_is_read_part_by_part(
    session: Session, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engine.rereading.MOST_AT_ONCE", 4)
    monkeypatch.setattr("app.engine.rereading._GROUP", 2)
    run = run_of(session, project)
    cast(session, run)

    for read, all_parts in ((look, [4, 4, 1]), (read_again, [4, 4, 1])):
        after: int | None = 0
        parts: list[int] = []
        while after is not None:
            found = read(session, run.id, REREADERS, after)
            parts.append(sum(found.counts.values()))
            after = found.following
        assert parts == all_parts
    assert progress_of(session, run).pending == 5


@pytest.fixture
def address(session: Session, project: Project) -> Callable[[Run], str]:
    return lambda run: f"/api/v1/projects/{project.slug}/runs/{run.id}/reparse"


def test_scripts_look_before_they_read_again(
    session: Session, project: Project, address: Callable[[Run], str]
) -> None:
    run = run_of(session, project)
    cast(session, run)
    app = application_on(session)
    admin = with_token(app, session, make_person(session, "admin", project), Scope.ADMIN)
    reader = with_token(app, session, make_person(session, "annotator", project), Scope.REVIEW)

    seen = admin.get(address(run)).json()
    done = admin.post(address(run)).json()

    assert {name: seen[name] for name in COUNTS} == COUNTS
    assert {name: done[name] for name in COUNTS} == COUNTS
    assert (seen["run"], seen["next"], done["run"]["pending"]) == (None, None, 5)
    assert reader.get(address(run)).status_code == reader.post(address(run)).status_code == 403
    run.state = RunState.CANCELLED
    session.commit()
    assert admin.get(address(run)).status_code == 409


def test_its_page_says_what_would_change_and_does_it(session: Session, project: Project) -> None:
    run = run_of(session, project)
    who = cast(session, run)
    admin = signed_in(application_on(session), session, make_person(session, "admin", project))

    link = f"/runs/{run.id}/reparse"
    of_run, page = admin.get(f"/runs/{run.id}").text, admin.get(link).text
    done = admin.post(link, data={"cursor": "0"})

    assert link in of_run
    assert f'href="/instances/{who.judged}"' in page
    assert "pass, now fail" in page
    assert "which is paid" in page
    assert done.status_code == 303
    assert session.get_one(Run, run.id).state == RunState.QUEUED


def test_readers_see_no_such_button(session: Session, project: Project) -> None:
    run = run_of(session, project, state=RunState.COMPLETED)
    viewer: TestClient = signed_in(application_on(session), session, make_person(session, "viewer", project))

    assert "/reparse" not in viewer.get(f"/runs/{run.id}").text
    assert viewer.get(f"/runs/{run.id}/reparse").status_code == 403

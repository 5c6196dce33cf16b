"""Any stored call is rendered again byte for byte from what it points at: function, REST and page."""

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.discrimination.replaying import Wanted as Judges
from app.discrimination.replaying import start_replay
from app.engine.rerender import rendered
from app.evidence.service import gather_evidence
from app.generation.handler import GenerationHandler
from app.generation.plan import Wanted
from app.generation.service import start_generation
from app.pipeline import Action, Role, Scope, Stage, Task
from app.prompting.prompt import Prompt
from app.prompts import service
from app.runtime.desks import DESKS, RENDERINGS
from app.storage.tables import Call, Decision, Exemplar, Instance, Person, Project, Revision, VerdictRow
from tests.factories import make_person, make_project
from tests.prompts.conftest import a_turn
from tests.web.clients import signed_in, with_token

pytestmark = pytest.mark.usefixtures("with_model")


def calls(session: Session) -> list[Call]:
    return list(session.scalars(select(Call).order_by(Call.id)))


def asked_again(session: Session) -> list[tuple[str, str]]:
    found = rendered(session, RENDERINGS, calls(session))
    assert all(one.is_equal for one in found), [(one.call.stage, one.why_not) for one in found]
    return [(one.prompt.system, one.prompt.user) for one in found if one.prompt is not None]


def messages(*turns: list[Prompt]) -> list[tuple[str, str]]:
    return [(one.system, one.user) for turn in turns for one in turn]


def generate(session: Session, project: Project, lead: Person) -> None:
    start_generation(session, project, Wanted(tasks=dict.fromkeys(Task, 1), count=8), lead)


def test_of_every_task_and_stage_with_what_was_wrong_before(
    session: Session, project: Project, lead: Person
) -> None:
    generate(session, project, lead)
    first = a_turn(session, lambda _: "not today")
    second = a_turn(session, lambda _: '{"task_name": "{rules}"}')
    third = a_turn(session)
    judged = [a_turn(session, lambda _: "{}"), a_turn(session)]

    assert len(first) == len(second) == len(third) == 8
    assert sorted(asked_again(session)) == sorted(messages(first, second, third, *judged))
    assert sum(call.after_call_id is not None for call in calls(session)) == 24


def test_whatever_people_and_later_versions_have_changed_since(
    session: Session, project: Project, lead: Person
) -> None:
    generate(session, project, lead)
    asked = [a_turn(session), a_turn(session)]
    for instance in session.scalars(select(Instance)):
        row = Revision(
            instance_id=instance.id,
            number=1,
            person_id=lead.id,
            instruction="Edited.",
            information="",
            solution="edited",
        )
        session.add(row)
        instance.revision, instance.instruction, instance.solution = 1, "Edited.", "edited"
    for desk in DESKS.values():
        content = desk.shipped(Task.REPAIR).content.replace("\n\n---", "\n\nOtherwise.\n\n---")
        service.save_prompt(session, project, desk, Task.REPAIR, content, None)
        service.switch_prompt(session, project, desk, Task.REPAIR, "1", None)
    session.flush()

    assert sorted(asked_again(session)) == sorted(messages(*asked))


def test_of_a_replay_and_of_a_try(session: Session, project: Project, lead: Person) -> None:
    generate(session, project, lead)
    asked = [a_turn(session), a_turn(session)]
    decide_all(session, project, lead)
    start_replay(session, project, Judges("another-model"), lead)
    for desk in DESKS.values():
        service.start_try(session, project, desk, Task.REPAIR, "shipped", lead.id)
    asked += [a_turn(session), a_turn(session)]

    assert {call.stage for call in calls(session)} == {
        "generate",
        "discriminate",
        "replay",
        "try_prompt",
        "try_judge",
    }
    sent = [call for call in calls(session) if call.state != "cached"]
    again = [one.prompt for one in rendered(session, RENDERINGS, sent) if one.prompt]
    assert sorted((one.system, one.user) for one in again) == sorted(messages(*asked))
    asked_again(session)


def decide_all(session: Session, project: Project, lead: Person) -> None:
    for verdict in session.scalars(select(VerdictRow)):
        session.add(
            Decision(
                project_id=project.id,
                instance_id=verdict.instance_id,
                person_id=lead.id,
                stream="work",
                action=Action.ACCEPT,
                revision=0,
                verdict_id=verdict.id,
            )
        )
    session.flush()


def test_a_case_that_has_changed_is_said_to_differ(session: Session, project: Project, lead: Person) -> None:
    generate(session, project, lead)
    a_turn(session)
    for case in session.scalars(select(Exemplar)):
        case.analysis = "tampered with"
    session.flush()
    fresh = {Stage.GENERATE: GenerationHandler(check=gather_evidence)}  # has read no case yet

    assert not any(one.is_equal for one in rendered(session, fresh, calls(session)))


def test_over_rest_and_on_a_page_that_the_instance_links_to(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    generate(session, project, lead)
    asked = a_turn(session)
    a_turn(session)
    call = calls(session)[0]
    script = with_token(app, session, lead, Scope.READ)
    answer = script.get(f"/api/v1/calls/{call.id}/messages").json()

    assert answer["equal"] is True
    assert answer["request_hash"] == answer["sent_hash"] == call.request_hash
    assert [one["content"] for one in answer["messages"]] == [asked[0].system, asked[0].user]

    browser = signed_in(app, session, lead)
    assert f'href="/calls/{call.id}"' in browser.get(f"/instances/{call.source_id}").text
    page = browser.get(f"/calls/{call.id}").text
    assert "equal" in page
    assert "You write training instances" in page


def test_a_call_that_asked_nothing_says_so(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    wanted = Wanted(tasks={Task.REPAIR: 1}, count=1, generator="offline", discriminator="offline")
    start_generation(session, project, wanted, lead)
    a_turn(session)
    call = calls(session)[0]
    answer = with_token(app, session, lead, Scope.READ).get(f"/api/v1/calls/{call.id}/messages").json()

    assert (answer["equal"], answer["messages"], answer["sent_hash"]) == (None, [], None)
    assert "offline" in answer["why_not"]


def test_calls_of_projects_that_one_may_not_see_are_not_there(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    generate(session, project, lead)
    a_turn(session)
    stranger = make_person(session, Role.ADMIN, make_project(session))
    call = calls(session)[0]

    assert (
        with_token(app, session, stranger, Scope.READ).get(f"/api/v1/calls/{call.id}/messages").status_code
        == 404
    )
    assert signed_in(app, session, stranger).get(f"/calls/{call.id}").status_code == 404
    assert (
        with_token(app, session, lead, Scope.READ).get(f"/api/v1/calls/{2**62}/messages").status_code == 404
    )

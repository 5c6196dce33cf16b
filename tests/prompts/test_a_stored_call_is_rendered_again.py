"""Any stored call is rendered again byte for byte from what it points at: function, REST and page."""

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.discrimination.replaying import Wanted as Judges
from app.discrimination.replaying import start_replay
from app.generation.plan import Wanted
from app.generation.service import start_generation
from app.pipeline import Action, Role, Scope, Task
from app.prompting.prompt import Prompt
from app.prompts import service
from app.runs.rendering import rendered
from app.runtime.desks import DESKS, RENDERERS
from app.storage.tables import (
    Call,
    Decision,
    Exemplar,
    Instance,
    Person,
    Project,
    Revision,
    VerdictRow,
    WorkItem,
)
from tests.factories import make_person, make_project
from tests.prompts.conftest import a_turn
from tests.web.clients import signed_in, with_token

pytestmark = pytest.mark.usefixtures("with_model")


def calls(session: Session) -> list[Call]:
    return list(session.scalars(select(Call).order_by(Call.id)))


def asked_again(session: Session, *, sent_only: bool = False) -> list[tuple[str, str]]:
    asked = [call for call in calls(session) if not (sent_only and call.state == "cached")]
    found = [rendered(session, RENDERERS, call) for call in asked]
    assert [call.stage for call, one in zip(asked, found, strict=True) if not one.same] == []
    return [(one.prompt.system, one.prompt.user) for one in found]


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
    assert [call.repeats is not None for call in calls(session)].count(True) == 24


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
    assert sorted(asked_again(session, sent_only=True)) == sorted(messages(*asked))
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


def test_after_a_failure_the_reason_of_the_unusable_reply_is_repeated(
    session: Session, project: Project, lead: Person
) -> None:
    generate(session, project, lead)
    a_turn(session, lambda _: "not today")
    session.execute(update(WorkItem).values(error_code="http_500", error_detail="500 Try again"))
    again = a_turn(session)

    assert all("the reply holds no JSON object" in one.user for one in again)
    assert not any("500" in one.user for one in again)
    asked_again(session)


def test_a_case_that_has_changed_is_said_to_differ(session: Session, project: Project, lead: Person) -> None:
    generate(session, project, lead)
    a_turn(session)
    for case in session.scalars(select(Exemplar)):
        case.analysis = "tampered with"
    session.flush()

    assert not any(rendered(session, RENDERERS, call).same for call in calls(session))


def test_over_rest_and_on_a_page_that_the_instance_links_to(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    generate(session, project, lead)
    asked = a_turn(session)
    a_turn(session)
    call = calls(session)[0]
    script = with_token(app, session, lead, Scope.READ)
    answer = script.get(f"/api/v1/calls/{call.id}/messages").json()

    assert answer["same"] is True
    assert answer["request_hash"] == answer["sent_hash"] == call.request_hash
    assert [one["content"] for one in answer["messages"]] == [asked[0].system, asked[0].user]

    browser = signed_in(app, session, lead)
    assert f'href="/calls/{call.id}"' in browser.get(f"/instances/{call.source_id}").text
    page = browser.get(f"/calls/{call.id}").text
    assert "equal" in page
    assert "You write training instances" in page


def test_a_call_that_asked_nothing_says_so_on_its_page(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    wanted = Wanted(tasks={Task.REPAIR: 1}, count=1, generator="offline", discriminator="offline")
    start_generation(session, project, wanted, lead)
    a_turn(session)
    page = signed_in(app, session, lead).get(f"/calls/{calls(session)[0].id}")

    assert page.status_code == 200
    assert "asked nobody" in page.text


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

from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.pipeline import RunKind
from app.review.history import Viewer, instance_detail
from app.storage.tables import ImportedRecord, Instance, Person, Project, Source
from tests.factories import make_instance, make_person, make_project, make_run
from tests.review.review_cases import LEAD

KEPT: dict[str, Any] = {
    "suggestions": [{"question": "quality", "value": 4, "score": 0.9, "agent": "a-judge"}],
    "responses": [
        {"question": "quality", "value": 5, "user_id": "u1", "status": "submitted"},
        {"question": "corrected", "value": "<b>x + 1</b>", "user_id": "u1"},
    ],
    "topic": {"name": "numbers"},
}


def imported(session: Session, project: Project, kept: dict[str, Any] = KEPT) -> Instance:
    run = make_run(session, project, kind=RunKind.IMPORT)
    source = Source(project_id=project.id, run_id=run.id, name="set.json", format="argilla", location="")
    instance = Instance(
        project_id=project.id,
        run_id=run.id,
        task="generation",
        language="other",
        status="waiting",
        instruction="Add one.",
        solution="x + 1",
        generator="imported",
    )
    session.add_all([source, instance])
    session.flush()
    session.add(
        ImportedRecord(instance_id=instance.id, line=12, external_id="mine-3", license="MIT", kept=kept)
    )
    session.flush()
    return instance


def test_the_record_behind_an_instance_is_part_of_it(session: Session):
    instance = imported(session, make_project(session))

    found = instance_detail(session, instance.id, LEAD).imported

    assert found is not None
    assert (found.source, found.format, found.line) == ("set.json", "argilla", 12)
    assert (found.external_id, found.license, found.kept, found.hidden) == ("mine-3", "MIT", KEPT, 0)


def test_an_instance_made_here_came_with_nothing(session: Session):
    assert instance_detail(session, make_instance(session).id, LEAD).imported is None


def test_what_people_said_elsewhere_is_hidden_as_long_as_what_people_said_here(session: Session):
    instance = imported(session, make_project(session), KEPT | {"decision": "accept"})

    found = instance_detail(session, instance.id, Viewer("a reader", is_admin=False)).imported

    assert found is not None
    assert found.kept == {name: KEPT[name] for name in ("suggestions", "topic")}
    assert found.hidden == 3


def test_the_page_shows_who_said_what_as_text(
    session: Session, client: TestClient, sit_down: Callable[[Person], str]
):
    instance = imported(session, make_project(session))
    sit_down(make_person(session, "admin"))

    page = client.get(f"/instances/{instance.id}").text

    assert "Came with it" in page
    assert "argilla, row 12" in page
    assert "u1 · submitted" in page
    assert "a-judge · score 0.9" in page
    assert "&lt;b&gt;x + 1&lt;/b&gt;" in page
    assert "numbers" in page
    assert "Raw code it came from" not in page


def test_the_card_of_an_imported_instance_can_be_read_and_decided(
    session: Session, client: TestClient, sit_down: Callable[[Person], str]
):
    instance = imported(session, make_project(session))
    sit_down(make_person(session, "annotator"))

    card = client.get("/review?language=other").text

    assert f'data-instance="{instance.id}"' in card
    assert "imported as it is, without a snippet" in card
    assert "No verdict: no judge has looked at it." in card
    assert "Not checked." in card

import html
import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.pipeline import Action, InstanceStatus
from app.storage.tables import Decision, Guideline, GuidelineSeen, Lease, Person, Project
from tests.factories import make_person, make_project
from tests.review.review_cases import PlainBrowser, card_for, decide_next, instances_of, judged, run_out, say

SitDown = Callable[[Person], str]


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def ada(session: Session, project: Project) -> Person:
    return make_person(session, project=project)


@pytest.fixture
def reader(client: TestClient, sit_down: SitDown, ada: Person) -> PlainBrowser:
    return PlainBrowser(client, sit_down(ada))


def _lease_in(page: str) -> str:
    found = re.search(r'name="lease" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_a_card_shows_code_as_text_and_failed_rules_first(
    session: Session, project: Project, reader: PlainBrowser
) -> None:
    (instance,) = instances_of(session, project, 1, instruction="<script>alert(1)</script> & so on")
    judged(session, instance)

    page = reader.page()

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on" in page
    assert page.index("The rule solves_it holds.") < page.index("2 of 3 rules hold")
    assert page.index("2 of 3 rules hold") < page.index("The rule readable holds.")
    assert not re.search(r"\sstyle=|\son[a-z]+=", page)


def test_accepting_with_an_overrule_goes_on_to_the_next(
    session: Session, project: Project, reader: PlainBrowser
) -> None:
    one, two = instances_of(session, project, 2)
    judged(session, one)
    token = _lease_in(reader.page())

    fields = {"lease": token, "action": "accept", "rule.solves_it": "yes"}
    answer = reader.send(f"/review/{one.id}/decide", **fields)

    assert (answer.status_code, answer.headers["location"]) == (303, "/review")
    assert one.status == InstanceStatus.ACCEPTED
    assert f"#{two.id}</a>" in reader.page()


def test_an_edit_through_the_form_keeps_the_line_ends_of_the_text(
    session: Session, project: Project, reader: PlainBrowser
) -> None:
    (instance,) = instances_of(session, project, 1, solution="def f():\n    return 1\n")
    page = reader.page("/review?edit=1")
    assert 'name="solution"' in page

    reader.send(
        f"/review/{instance.id}/decide",
        lease=_lease_in(page),
        action="edit",
        instruction=instance.instruction,
        information=instance.information,
        solution="def f():\r\n    return 2\r\n",
    )

    assert instance.solution == "def f():\n    return 2\n"


def test_a_refused_form_comes_back_with_what_was_typed(
    session: Session, project: Project, reader: PlainBrowser
) -> None:
    (instance,) = instances_of(session, project, 1)
    fields = {"lease": _lease_in(reader.page()), "note": "Off by <one>."}

    answer = reader.send(f"/review/{instance.id}/decide", action="reject", **fields)

    assert answer.status_code == 422
    assert "Reject needs a reason, one of: incorrect" in answer.text
    assert html.escape("Off by <one>.") in answer.text
    assert instance.status == InstanceStatus.WAITING


def test_a_lost_lease_keeps_the_text_and_says_who_has_the_instance(
    session: Session, project: Project, ada: Person, reader: PlainBrowser
) -> None:
    (instance,) = instances_of(session, project, 1)
    token = _lease_in(reader.page())
    run_out(session, session.scalars(select(Lease)).one())
    bob = make_person(session)
    card_for(session, project, bob)

    fields = {"instruction": instance.instruction, "information": "", "solution": "return 42"}
    answer = reader.send(f"/review/{instance.id}/decide", lease=token, action="edit", **fields)
    assert answer.status_code == 409
    assert f"is with {bob.name} until" in answer.text
    assert re.search(r"<textarea[^>]*name=\"solution\"[^>]*>\nreturn 42</textarea>", answer.text)

    # Bob leaves it; the form that came back takes the instance anew.
    session.execute(delete(Lease))
    again = reader.send(f"/review/{instance.id}/decide", lease="", again="1", action="edit", **fields)
    assert again.status_code == 303
    assert instance.solution == "return 42"


def test_undo_and_the_last_decisions_are_links_and_forms(
    session: Session, project: Project, ada: Person, reader: PlainBrowser
) -> None:
    one, two = instances_of(session, project, 2)
    first = decide_next(session, project, ada, say(Action.REJECT, reason="unclear", note="Which one?"))

    assert f'href="/review/decided/{first.id}"' in reader.page()
    looked_at = reader.page(f"/review/decided/{first.id}")
    assert "You rejected it" in looked_at
    assert "unclear: Which one?" in looked_at

    reader.send(f"/review/undo/{first.id}")
    assert one.status == InstanceStatus.WAITING
    assert f"#{one.id}</a>" in reader.page()
    assert two.status == InstanceStatus.WAITING


def test_an_htmx_request_gets_the_card_alone(
    session: Session, project: Project, reader: PlainBrowser
) -> None:
    one, two = instances_of(session, project, 2)
    token = _lease_in(reader.page())

    reader.client.headers["HX-Request"] = "true"
    answer = reader.send(f"/review/{one.id}/decide", lease=token, action="accept")

    assert answer.status_code == 200
    assert answer.text.strip().startswith('<article id="card"')
    assert f"#{two.id}</a>" in answer.text


def test_an_empty_queue_is_a_page_with_one_next_step(
    session: Session, project: Project, ada: Person, reader: PlainBrowser
) -> None:
    instances_of(session, project, 1)
    assert "Clear the filter" in reader.page("/review?language=ruby")

    decide_next(session, project, ada, say(Action.SKIP, reason="other"))
    assert "Nothing is left for you; for another reader: 1 that you skipped" in html.unescape(reader.page())


def test_the_guideline_opens_until_its_newest_version_is_read(
    session: Session, project: Project, reader: PlainBrowser
) -> None:
    text = "# Be *kind*\n\n<script>alert(1)</script> [a](javascript:alert(1))"
    session.add(Guideline(project_id=project.id, version=1, markdown=text))
    session.flush()
    page = reader.page()
    assert "data-unseen" in page
    assert "<h1>Be <em>kind</em></h1>" in page
    assert "<script>alert" not in page
    assert 'href="javascript' not in page

    reader.send("/review/guideline/seen", version="1")
    assert "data-unseen" not in reader.page()
    session.add(Guideline(project_id=project.id, version=2, markdown="New."))
    session.flush()
    assert "data-unseen" in reader.page()


def test_only_a_reader_has_read_a_guideline_and_only_a_version_that_exists(
    session: Session, project: Project, client: TestClient, reader: PlainBrowser, sit_down: SitDown
) -> None:
    session.add(Guideline(project_id=project.id, version=1, markdown="Read."))
    session.flush()

    invented = reader.send("/review/guideline/seen", version="77")
    viewer = PlainBrowser(client, sit_down(make_person(session, "viewer", project)))
    viewed = viewer.send("/review/guideline/seen", version="1")

    assert (invented.status_code, viewed.status_code) == (422, 403)
    assert session.scalars(select(GuidelineSeen)).all() == []


def test_a_viewer_reads_instances_but_has_no_card(
    session: Session, project: Project, client: TestClient, sit_down: SitDown
) -> None:
    instances_of(session, project, 1)
    viewer = PlainBrowser(client, sit_down(make_person(session, "viewer", project)))

    assert client.get("/review").status_code == 403
    assert "1 match" in viewer.page("/instances")


def test_the_history_tells_what_happened_in_order(
    session: Session, project: Project, ada: Person, reader: PlainBrowser
) -> None:
    (instance,) = instances_of(session, project, 1)
    judged(session, instance)
    decision: Decision = decide_next(
        session, project, ada, say(Action.EDIT, edits={"solution": "return 7"}, note="Shorter.")
    )

    page = reader.page(f"/instances/{instance.id}")

    order = ["Made", "Asked for a verdict", "Judged", "Shorter.", "Revision 1"]
    assert sorted(order, key=page.index) == order
    assert decision.new_revision == 1


def test_an_instance_of_a_project_that_one_is_not_in_is_not_there(
    session: Session, reader: PlainBrowser
) -> None:
    (other,) = instances_of(session, make_project(session), 1)

    assert reader.client.get(f"/instances/{other.id}").status_code == 404
    assert reader.send(f"/review/{other.id}/decide", lease="x", action="accept").status_code == 404

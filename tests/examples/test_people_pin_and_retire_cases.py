"""The example bank is looked through, and people say which cases runs always or never draw from."""

from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.generation.queries import freeze_snapshot
from app.pipeline import Scope, Task
from app.storage.tables import Exemplar, LogEntry, Person, Project, RunExemplar
from tests.factories import make_person, make_project, make_run
from tests.review.audit_cases import draw_for, lot_of, make_audit
from tests.web.clients import application_on, signed_in, with_token


@pytest.fixture
def app(session: Session) -> FastAPI:
    return application_on(session)


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def lead(session: Session, project: Project) -> Person:
    return make_person(session, "admin", project, name="lead")


def make_case(session: Session, project: Project | None, number: int, **values: Any) -> Exemplar:
    columns = {
        "task": Task.GENERATION,
        "language": "python",
        "is_good": True,
        "origin": "judge" if project else "shipped",
        "instruction": f"Write function {number}.",
        "information": "",
        "solution": f"def f{number}(): return {number}",
        "analysis": f"Because of {number}.",
        "content_hash": f"{number:064d}",
    }
    case = Exemplar(project_id=project.id if project else None, **(columns | values))
    session.add(case)
    session.flush()
    return case


def frozen(session: Session, project: Project) -> set[int]:
    """The cases of a run that starts now."""
    run = make_run(session, project)
    freeze_snapshot(session, run, [Task.GENERATION], seed=1)
    return set(session.scalars(select(RunExemplar.exemplar_id).where(RunExemplar.run_id == run.id)))


def test_a_retired_case_is_in_no_later_snapshot_and_a_pinned_shipped_one_in_each(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    own, shipped = make_case(session, project, 1), make_case(session, None, 2)
    before = frozen(session, project)
    scripts = with_token(app, session, lead, Scope.ADMIN)
    base = f"/api/v1/projects/{project.slug}/exemplars"

    retired = scripts.put(f"{base}/{own.id}/standing", json={"standing": "retired", "note": "It  is stale."})
    assert (retired.json()["standing"], retired.json()["note"]) == ("retired", "It is stale.")
    assert (before, frozen(session, project)) == ({own.id}, {shipped.id})
    scripts.put(f"{base}/{own.id}/standing", json={"standing": "usual"})
    scripts.put(f"{base}/{shipped.id}/standing", json={"standing": "pinned"})
    assert frozen(session, project) == {own.id, shipped.id}
    assert scripts.get(f"{base}/{shipped.id}").json()["runs"] == 2

    said = session.scalars(select(LogEntry.action).order_by(LogEntry.id)).all()
    assert said[-3:] == ["example retired", "example left to the draw", "example pinned"]


def test_a_standing_is_of_one_project_alone(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    shipped = make_case(session, None, 2)
    pages = signed_in(app, session, lead)
    pages.post(f"/examples/{shipped.id}/standing", data={"standing": "retired"})

    assert frozen(session, project) == set()
    assert frozen(session, make_project(session, slug="other")) == {shipped.id}


def test_lists_filter_and_count_on_from_a_cursor(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    cases = [make_case(session, project, number, is_good=number % 2 == 0) for number in range(4)]
    make_case(session, make_project(session, slug="other"), 9)
    scripts = with_token(app, session, lead, Scope.READ)
    base = f"/api/v1/projects/{project.slug}/exemplars"

    def ids(query: str) -> list[int]:
        return [one["id"] for one in scripts.get(f"{base}?{query}").json()["items"]]

    newest_first = [case.id for case in reversed(cases)]
    assert ids("") == newest_first
    first = scripts.get(f"{base}?limit=3").json()
    assert ids(f"cursor={first['next']}") == newest_first[3:]
    assert ids("side=bad") == [cases[3].id, cases[1].id]
    assert ids("q=function 2") == ids("q=because of 2") == [cases[2].id]
    assert ids("q=%25") == []
    assert ids("task=repair") == ids("standing=pinned") == ids("origin=person") == []
    assert scripts.get(f"{base}?side=neither").status_code == 422


def test_pages_show_a_case_and_who_may_change_it(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    case = make_case(session, project, 1, analysis="<b>Because</b> it says so.")
    reader = signed_in(app, session, make_person(session, "annotator", project, name="reader"))

    assert f'href="/examples/{case.id}"' in reader.get("/examples").text
    page = reader.get(f"/examples/{case.id}").text
    assert "&lt;b&gt;Because&lt;/b&gt;" in page
    assert "Retire" not in page
    assert reader.post(f"/examples/{case.id}/standing", data={"standing": "pinned"}).status_code == 403
    pages = signed_in(app, session, lead)
    pages.post(f"/examples/{case.id}/standing", data={"standing": "pinned", "note": "The best we have."})
    assert "lead: The best we have." in pages.get(f"/examples/{case.id}").text
    wrong = pages.post(f"/examples/{case.id}/standing", data={"standing": "pinned", "note": "x" * 301})
    assert (wrong.status_code, "at most 300" in wrong.text) == (422, True)
    elsewhere = make_case(session, make_project(session, slug="other"), 9)
    assert pages.get(f"/examples/{elsewhere.id}").status_code == 404


def test_what_a_person_reads_blind_for_an_audit_is_no_example_to_them(
    app: FastAPI, session: Session, project: Project, lead: Person
) -> None:
    audit = make_audit(session, project, rows=1)
    [instance] = lot_of(session, audit)
    case = make_case(session, project, 1, instance_id=instance.id)
    pages = signed_in(app, session, lead)
    assert pages.get(f"/examples/{case.id}").status_code == 200

    draw_for(session, audit, lead)

    assert pages.get(f"/examples/{case.id}").status_code == 404
    assert f'href="/examples/{case.id}"' not in pages.get("/examples").text

"""Starting a generation: what is frozen with it and what is refused."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from app.errors import Conflict, InvalidInput
from app.generation.plan import Wanted
from app.generation.service import check_order, estimate, start_generation
from app.pipeline import InstanceStatus, RunKind, RunState, Stage, Task
from app.prompting.exemplars import Case, exemplar_of
from app.settings import settings
from app.storage.tables import (
    Exemplar,
    Instance,
    Pick,
    Price,
    Project,
    RunExemplar,
    Selection,
    Snippet,
    Template,
    WorkItem,
)
from tests.factories import make_pick, make_project, make_run, make_snippet

OFFLINE_MIX = {"summarization": 1.0, "generation": 1.0, "repair": 1.0}


@pytest.fixture
def with_provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OPENAI_API_KEY", "not a real key")
    settings.cache_clear()
    yield
    settings.cache_clear()


def project_with_picks(session: Session, picks: int = 3) -> Project:
    project = make_project(session)
    run = make_run(session, project, kind=RunKind.SELECT, state=RunState.COMPLETED)
    selection = Selection(project_id=project.id, run_id=run.id, k=picks, seed=0, embedder="test")
    session.add(selection)
    session.flush()
    for rank in range(1, picks + 1):
        snippet = make_snippet(session, project)
        session.add(Pick(selection_id=selection.id, snippet_id=snippet.id, rank=rank, radius=1.0))
    session.flush()
    return project


def start(session: Session, project: Project, **values: Any) -> Any:
    return start_generation(session, project, Wanted(**({"tasks": OFFLINE_MIX, "count": 6} | values)), None)


def test_a_run_has_its_instances_items_and_templates_from_the_start(session: Session) -> None:
    run = start(session, project_with_picks(session), count=7, seed=5)
    instances = session.scalars(select(Instance).where(Instance.run_id == run.id)).all()
    items = session.scalars(select(WorkItem).where(WorkItem.run_id == run.id)).all()

    assert run.total == 7
    assert Counter(instance.task for instance in instances) == run.params["counts"]
    assert {instance.status for instance in instances} == {InstanceStatus.GENERATING}
    assert {item.source_id for item in items} == {instance.id for instance in instances}
    assert {item.stage for item in items} == {Stage.GENERATE}
    kept = set(session.scalars(select(Template.content_hash)))
    assert set(run.params["templates"].values()) <= kept
    assert (run.params["generator"], run.params["seed"]) == ("offline", 5)


def test_without_a_selection_the_newest_completed_one_is_used(session: Session) -> None:
    project = project_with_picks(session)
    used = session.scalars(select(Selection.id).where(Selection.project_id == project.id)).one()
    unfinished = make_run(session, project, kind=RunKind.SELECT, state=RunState.RUNNING)
    session.add(Selection(project_id=project.id, run_id=unfinished.id, k=1, seed=0))
    session.flush()

    assert start(session, project).params["selection_id"] == used


def test_a_project_without_a_completed_selection_cannot_start(session: Session) -> None:
    with pytest.raises(Conflict, match="no completed selection"):
        start(session, make_project(session))


@pytest.mark.usefixtures("with_provider")
def test_translations_go_to_the_targets_asked_for_and_never_to_the_own_language(session: Session) -> None:
    project = project_with_picks(session)
    wanted = {"tasks": {"translation": 1.0}, "generator": "m", "discriminator": "m"}

    run = start(session, project, **wanted, targets={"go": 1.0, "ruby": 1.0, "python": 2.0})
    of_run = select(Instance.target_language).where(Instance.run_id == run.id)
    assert Counter(session.scalars(of_run)) == {"go": 3, "ruby": 3}
    with pytest.raises(InvalidInput, match="cannot be translated to python") as refused:
        start(session, project, **wanted, targets={"python": 1.0})
    assert refused.value.field == "targets"


def test_offline_summaries_are_a_line_or_a_paragraph(session: Session) -> None:
    run = start(session, project_with_picks(session), tasks={"summarization": 1.0})

    of_run = select(Instance.granularity).where(Instance.run_id == run.id)
    assert Counter(session.scalars(of_run)) == {"line": 3, "paragraph": 3}
    assert run.params["granularities"] == {"line": 1.0, "paragraph": 1.0}


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"tasks": {"poetry": 1.0}}, "tasks", "poetry"),
        ({"tasks": {}}, "tasks", "at least one"),
        ({"tasks": {"repair": 0.0}}, "tasks", "at least one"),
        ({"tasks": {"repair": -1.0}}, "tasks", "negative"),
        ({"tasks": {"repair": float("nan")}}, "tasks", "number"),
        ({"tasks": OFFLINE_MIX | {"translation": 1.0}}, "tasks", "translation needs a model"),
        ({"count": 0}, "count", "1,000,000"),
        ({"count": 1_000_001}, "count", "1,000,000"),
        ({"seed": -1}, "seed", "seed"),
        ({"budget_usd": 0.0}, "budget_usd", "budget"),
        ({"budget_usd": float("inf")}, "budget_usd", "budget"),
        ({"generator": "some-model"}, "generator", "no provider"),
        ({"discriminator": "some-model"}, "discriminator", "no provider"),
        ({"selection_id": 2**40}, "selection_id", "no completed selection"),
        ({"candidates": 0}, "candidates", "from 1 to 20"),
        ({"granularities": {"page": 1.0}}, "granularities", "“page” is none of line, paragraph, steps"),
        ({"granularities": {"steps": 1.0}}, "granularities", "steps needs a model"),
        ({"granularities": {"line": 0.0}}, "granularities", "above zero"),
        ({"targets": {"cobol": 1.0}}, "targets", "“cobol” is none of"),
        ({"targets": {"go": -1.0}}, "targets", "negative"),
    ],
)
def test_a_bad_value_is_refused_with_its_field(
    session: Session, values: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        start(session, project_with_picks(session), **values)
    assert caught.value.field == field


def test_a_selection_of_another_project_is_not_there(session: Session) -> None:
    theirs = make_pick(session).selection_id
    with pytest.raises(InvalidInput):
        start(session, project_with_picks(session), selection_id=theirs)


@pytest.mark.usefixtures("with_provider")
def test_a_budget_needs_a_price_and_the_model_without_one_is_named(session: Session) -> None:
    project = project_with_picks(session)
    session.add(Price(model="cheap", input_micro=100_000, output_micro=400_000))
    session.flush()
    models = {"generator": "cheap", "discriminator": "nameless"}

    with pytest.raises(InvalidInput, match="nameless"):
        start(session, project, budget_usd=5.0, **models)
    assert start(session, project, **models).budget_micro is None
    assert start(session, project, generator="cheap", budget_usd=5.0).budget_micro == 5_000_000


@pytest.mark.usefixtures("with_provider")
def test_an_estimate_grows_with_the_count_and_is_unknown_without_a_price(session: Session) -> None:
    project = project_with_picks(session)
    session.add(Price(model="cheap", input_micro=100_000, output_micro=400_000))
    session.flush()

    def cost(count: int, **models: str) -> int | None:
        order = check_order(session, project, Wanted({"repair": 1.0}, count, **models))
        return estimate(session, order).cost_micro

    one, hundred = cost(1, generator="cheap"), cost(100, generator="cheap")
    assert one
    assert hundred
    assert 90 * one < hundred <= 100 * one
    assert cost(100) == 0
    assert cost(1, generator="cheap", discriminator="nameless") is None


def test_with_a_model_all_four_tasks_and_kinds_of_bugs_are_planned(
    session: Session, with_provider: None
) -> None:
    tasks = dict.fromkeys(Task, 1.0)
    run = start(session, project_with_picks(session), tasks=tasks, count=8, generator="some-model")
    instances = session.scalars(select(Instance).where(Instance.run_id == run.id)).all()

    assert all(one.target_language for one in instances if one.task == Task.TRANSLATION)
    assert all(one.bug for one in instances if one.task == Task.REPAIR)


def keep_case(session: Session, project: Project, number: int, origin: str) -> None:
    case = Case(f"Write Python function {number}.", "", "pass", is_good=True, analysis="")
    row = exemplar_of(Task.GENERATION, "python", case)
    session.add(Exemplar(project_id=project.id, origin=origin, **row))
    session.flush()


def snapshot(session: Session, run_id: int) -> list[Exemplar]:
    statement = select(Exemplar).join(RunExemplar, RunExemplar.exemplar_id == Exemplar.id)
    return list(session.scalars(statement.where(RunExemplar.run_id == run_id)))


def test_shipped_cases_are_shown_while_a_project_has_none_and_are_kept_once(session: Session) -> None:
    project = project_with_picks(session)
    first, second = (snapshot(session, start(session, project).id) for _ in range(2))

    sides = {(case.task, case.is_good) for case in first}
    assert {case.origin for case in first} == {"shipped"}
    assert sides == {(task, is_good) for task in OFFLINE_MIX for is_good in (True, False)}
    assert {case.id for case in first} == {case.id for case in second}


def test_peoples_cases_come_first_and_replace_shipped_ones(session: Session) -> None:
    project = project_with_picks(session)
    for number in range(150):
        keep_case(session, project, number, "person" if number >= 120 else "judge")
    good = [
        case
        for case in snapshot(session, start(session, project).id)
        if case.task == Task.GENERATION and case.is_good
    ]

    assert Counter(case.origin for case in good) == {"person": 30, "judge": 70}


def test_a_snapshot_is_frozen_when_its_run_starts(session: Session) -> None:
    project = project_with_picks(session)
    run = start(session, project)
    before = {case.id for case in snapshot(session, run.id)}
    keep_case(session, project, 1, "judge")

    assert {case.id for case in snapshot(session, run.id)} == before


def test_twenty_thousand_instances_start_within_seconds(session: Session) -> None:
    project = project_with_picks(session, picks=1)
    selection = session.scalars(select(Selection).where(Selection.project_id == project.id)).one()
    snippet = session.scalars(select(Snippet).where(Snippet.project_id == project.id)).first()
    assert snippet is not None
    columns = {"project_id": project.id, "source_id": snippet.source_id, "language": "python"}
    texts = dict.fromkeys(("name", "comment", "code", "repo", "path", "sha", "url"), "x")
    rows = [{**columns, **texts, "content_hash": f"many{number}"} for number in range(999)]
    ids = session.scalars(insert(Snippet).returning(Snippet.id), rows).all()
    session.execute(
        insert(Pick),
        [
            {"selection_id": selection.id, "snippet_id": snippet_id, "rank": rank, "radius": 1.0}
            for rank, snippet_id in enumerate(ids, 2)
        ],
    )
    started = time.monotonic()
    run = start(session, project, count=20_000)

    assert time.monotonic() - started < 20
    assert (
        session.scalars(select(func.count()).where(Instance.run_id == run.id, Instance.project_id > 0)).one()
        == 20_000
    )

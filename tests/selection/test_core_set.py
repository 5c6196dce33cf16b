"""From a request to picks: what a selection of a project leaves behind."""

import numpy as np
import pytest
from sqlalchemy import func, select

from app.engine.runs import progress_of
from app.errors import Conflict, InvalidInput
from app.geometry.kcenter import k_center
from app.selection import service
from app.selection.embedding import load
from app.selection.service import Wanted, start_selection
from app.storage.tables import Embedding, Pick, Selection, Snippet
from tests.factories import make_person, make_project, make_snippet

WORDS = [
    "sort",
    "read",
    "parse",
    "merge",
    "count",
    "split",
    "join",
    "hash",
    "copy",
    "sum",
    "plot",
    "walk",
    "send",
    "lock",
    "seek",
    "trim",
    "fold",
    "scan",
    "pack",
    "draw",
]


def code(number: int) -> str:
    first, second = WORDS[number % 20], WORDS[number * 7 % 19]
    return f"def {first}_{second}(rows):\n    {second} = {first}(rows, {number})\n    return {second}\n"


@pytest.fixture
def project(session):
    project = make_project(session)
    for number in range(30):
        make_snippet(session, project, code=code(number), language="python" if number % 3 else "ruby")
    return project


def run_to_its_end(session, run):
    for _ in service.select(session, run):
        session.flush()
    session.expire_all()


def selected(session, project, **wanted) -> tuple[Selection, list[Pick]]:
    run = start_selection(session, project, Wanted(**wanted), make_person(session))
    run_to_its_end(session, run)
    selection = session.scalars(select(Selection).where(Selection.run_id == run.id)).one()
    picks = session.scalars(select(Pick).where(Pick.selection_id == selection.id).order_by(Pick.rank)).all()
    return selection, list(picks)


def test_the_picks_are_those_of_k_center_over_the_snippets_vectors(session, project):
    selection, picks = selected(session, project, k=12, seed=3)

    snippets = session.scalars(
        select(Snippet).where(Snippet.project_id == project.id).order_by(Snippet.content_hash)
    )
    snippets = list(snippets)
    embedder = load(selection.embedder, service.embedders_folder())
    cover = k_center(embedder.embed([snippet.code for snippet in snippets]), 12, seed=3)
    assert [pick.snippet_id for pick in picks] == [snippets[row].id for row in cover.chosen]
    assert [pick.radius for pick in picks] == pytest.approx(cover.radius.tolist())
    assert [pick.rank for pick in picks] == list(range(1, 13))


def test_another_seed_picks_otherwise_and_the_same_seed_alike(session, project):
    first, again, other = (
        [pick.snippet_id for pick in selected(session, project, k=10, seed=seed)[1]] for seed in (1, 1, 2)
    )

    assert first == again != other


def test_only_the_languages_asked_for_are_picked(session, project):
    selection, picks = selected(session, project, k=8, languages=["ruby"])

    languages = session.scalars(
        select(Snippet.language).where(Snippet.id.in_([pick.snippet_id for pick in picks]))
    )
    assert set(languages) == {"ruby"}
    assert selection.coverage["shares"] == [{"language": "ruby", "snippets": 10, "picks": 8}]


def test_every_snippet_of_the_pool_ends_under_one_count(session, project):
    make_snippet(session, project, code=code(0) + "  ")  # another text, the same tokens
    make_snippet(session, project, code="  \n ")
    run = start_selection(session, project, Wanted(k=5), None)

    run_to_its_end(session, run)

    progress = progress_of(session, run)
    assert progress.done == {"picked": 5, "covered": 25, "same_vector": 1, "no_vector": 1}
    assert (progress.total, progress.pending) == (32, 0)


def test_fewer_different_snippets_than_asked_for_are_all_picked(session):
    project = make_project(session)
    for spaces in range(4):
        make_snippet(session, project, code="x = 1" + " " * spaces)
    make_snippet(session, project, code="while wait: sleep()")

    _, picks = selected(session, project, k=5)

    assert len(picks) == 2


def test_a_job_that_died_between_two_steps_ends_with_the_same_picks(session, project, monkeypatch):
    monkeypatch.setattr(service, "_BATCH_ROWS", 7)
    monkeypatch.setattr(service, "_PICKS_PER_STEP", 2)
    _, expected = selected(session, project, k=9)
    steps = 2 + sum(1 for _ in service.select(session, start_selection(session, project, Wanted(k=9), None)))

    for died_after in range(1, steps):
        run = start_selection(session, project, Wanted(k=9), None)
        abandoned = service.select(session, run)
        for _ in zip(range(died_after), abandoned, strict=False):
            session.flush()
        abandoned.close()
        if progress_of(session, run).pending:
            run_to_its_end(session, run)
        selection = session.scalars(select(Selection).where(Selection.run_id == run.id)).one()
        picks = session.scalars(select(Pick).where(Pick.selection_id == selection.id).order_by(Pick.rank))
        assert [pick.snippet_id for pick in picks] == [pick.snippet_id for pick in expected]


def test_a_later_selection_keeps_the_embedder_and_its_vectors(session, project):
    first, _ = selected(session, project, k=3)
    make_snippet(session, project, code=code(77))
    later, _ = selected(session, project, k=4)

    assert later.embedder == first.embedder
    stored = select(func.count()).where(Embedding.embedder == first.embedder)
    assert session.scalar(stored) == 31


def test_a_project_that_outgrew_its_embedder_gets_a_new_one_and_keeps_the_old(session, project):
    first, _ = selected(session, project, k=3)
    for number in range(30, 60):
        make_snippet(session, project, code=code(number))

    later, _ = selected(session, project, k=3)
    back, _ = selected(session, project, k=3, embedder=first.embedder)

    assert later.embedder != first.embedder == back.embedder


def test_stored_vectors_are_those_of_the_embedder(session, project):
    selection, _ = selected(session, project, k=3)

    row = session.scalars(select(Embedding).where(Embedding.embedder == selection.embedder).limit(1)).one()
    text = session.get_one(Snippet, row.snippet_id).code
    expected = load(selection.embedder, service.embedders_folder()).embed([text])[0]
    assert np.array_equal(np.array(row.vector, np.float32), expected)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (Wanted(k=0), "k"),
        (Wanted(k=31), "k"),
        (Wanted(k=11, languages=["ruby"]), "k"),
        (Wanted(k=1, seed=-1), "seed"),
        (Wanted(k=1, seed=2**53), "seed"),
        (Wanted(k=1, languages=["python", "cobol"]), "languages"),
        (Wanted(k=1, languages=[]), "languages"),
        (Wanted(k=1, embedder="word2vec"), "embedder"),
    ],
)
def test_a_request_that_cannot_be_met_names_its_field(session, project, wanted, field):
    with pytest.raises(InvalidInput) as refused:
        start_selection(session, project, wanted, None)

    assert refused.value.field == field


def test_a_project_without_snippets_cannot_select_yet(session, project):
    with pytest.raises(Conflict, match="no snippets yet"):
        start_selection(session, make_project(session), Wanted(k=1), None)
    with pytest.raises(Conflict, match="no snippets in go yet"):
        start_selection(session, project, Wanted(k=1, languages=["go"]), None)

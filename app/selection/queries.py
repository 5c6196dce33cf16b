"""Snippets, vectors, selections and picks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy import ColumnElement, LargeBinary, Select, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.geometry.kcenter import Matrix
from app.selection.embedding import FIT_ROWS
from app.storage.keyset import newest_first
from app.storage.tables import Embedding, Pick, Run, Selection, Snippet


class Pool(NamedTuple):
    """What a selection chooses from: snippets of a project, those that were there when it was asked for."""

    project_id: int
    languages: Sequence[str] | None
    last_snippet_id: int


class Vectors(NamedTuple):
    """The pool's rows, in the order of their contents: the same snippets give the same picks anywhere."""

    snippet_ids: list[int]
    languages: list[str]
    points: Matrix


class PoolSize(NamedTuple):
    rows: int
    last_snippet_id: int


class Fitted(NamedTuple):
    """An embedder that a selection of the project used, and how many snippets the project had at its fit."""

    embedder: str
    snippets: int


class ListedSelection(NamedTuple):
    """A selection with its run and how many picks it made."""

    selection: Selection
    run: Run
    picks: int


class PickedSnippet(NamedTuple):
    pick: Pick
    snippet: Snippet


def pool_size(session: Session, project_id: int, languages: Sequence[str] | None) -> PoolSize:
    """How many snippets there are to choose from, and the newest of them (0 where there is none)."""
    statement = select(func.count(), func.coalesce(func.max(Snippet.id), 0)).where(
        Snippet.project_id == project_id, *_in_languages(languages)
    )
    return PoolSize(*session.execute(statement).one())


def languages_of(session: Session, project_id: int) -> dict[str, int]:
    """Snippets per language, most first."""
    statement = (
        select(Snippet.language, func.count())
        .where(Snippet.project_id == project_id)
        .group_by(Snippet.language)
        .order_by(func.count().desc(), Snippet.language)
    )
    return {language: rows for language, rows in session.execute(statement)}


def selection_of_run(session: Session, run_id: int) -> Selection:
    return session.scalars(select(Selection).where(Selection.run_id == run_id)).one()


def last_fitted(session: Session, project_id: int) -> Fitted | None:
    """The newest embedder fitted on this project."""
    statement = (
        select(Selection.embedder, Run.progress["fitted_on"].as_integer())
        .join(Run, Run.id == Selection.run_id)
        .where(Selection.project_id == project_id, Run.progress.has_key("fitted_on"))
        .order_by(Selection.id.desc())
        .limit(1)
    )
    row = session.execute(statement).one_or_none()
    return Fitted(str(row[0]), row[1]) if row else None


def embedders_of(session: Session, project_id: int) -> Sequence[str]:
    """Every embedder that a selection of this project used."""
    statement = select(Selection.embedder).where(
        Selection.project_id == project_id, Selection.embedder.is_not(None)
    )
    return [name for name in session.scalars(statement.distinct()) if name is not None]


def texts_to_fit(session: Session, project_id: int, last_snippet_id: int) -> Sequence[str]:
    """At most `FIT_ROWS` pieces of code: those with the lowest content hashes, a fair draw that stays put."""
    statement = (
        select(Snippet.code)
        .where(Snippet.project_id == project_id, Snippet.id <= last_snippet_id)
        .order_by(Snippet.content_hash)
        .limit(FIT_ROWS)
    )
    return session.scalars(statement).all()


def snippets_to_embed(
    session: Session, pool: Pool, embedder: str, after: int, limit: int
) -> list[tuple[int, str]]:
    """(id, code) of the next snippets beyond id `after` that have no vector by this embedder yet."""
    known = select(Embedding.snippet_id).where(
        Embedding.embedder == embedder, Embedding.snippet_id == Snippet.id
    )
    statement = (
        select(Snippet.id, Snippet.code)
        .where(*_in_pool(pool), Snippet.id > after, ~known.exists())
        .order_by(Snippet.id)
        .limit(limit)
    )
    return [(snippet_id, code) for snippet_id, code in session.execute(statement)]


def keep_vectors(session: Session, embedder: str, snippet_ids: Sequence[int], vectors: Matrix) -> None:
    """Store one vector per snippet; those that another job stored meanwhile are the same."""
    rows = [
        {"embedder": embedder, "snippet_id": snippet_id, "vector": vector}
        for snippet_id, vector in zip(snippet_ids, vectors, strict=True)
    ]
    session.execute(postgresql.insert(Embedding).on_conflict_do_nothing(), rows)


def vectors_of(session: Session, pool: Pool, embedder: str) -> Vectors:
    """Every vector of the pool."""
    statement = (
        select(Snippet.id, Snippet.language, func.vector_send(Embedding.vector, type_=LargeBinary))
        .join(Embedding, (Embedding.snippet_id == Snippet.id) & (Embedding.embedder == embedder))
        .where(*_in_pool(pool))
        .order_by(Snippet.content_hash)
    )
    rows = session.execute(statement).all()
    # pgvector's wire format: two 16-bit numbers, of which the first counts the big-endian floats that follow.
    numbers = np.frombuffer(b"".join(row[2][4:] for row in rows), dtype=">f4").astype(np.float32)
    return Vectors([row[0] for row in rows], [row[1] for row in rows], numbers.reshape(len(rows), -1))


def add_picks(
    session: Session, selection_id: int, snippet_ids: Sequence[int], radii: Sequence[float]
) -> None:
    """Store the picks in their order; the first has rank 1."""
    session.add_all(
        Pick(selection_id=selection_id, snippet_id=snippet_id, rank=rank, radius=radius)
        for rank, (snippet_id, radius) in enumerate(zip(snippet_ids, radii, strict=True), start=1)
    )
    session.flush()


def selections_of(session: Session, project_id: int, before: int | None, limit: int) -> list[ListedSelection]:
    """The newest first; `before` is the id of the last one already seen."""
    listed = _listed().where(Selection.project_id == project_id)
    return [
        ListedSelection(*row) for row in session.execute(newest_first(listed, Selection.id, before, limit))
    ]


def selection_of_project(session: Session, project_id: int, selection_id: int) -> ListedSelection:
    """One selection of the project. Raises `NotFound`."""
    statement = _listed().where(Selection.project_id == project_id, Selection.id == selection_id)
    row = session.execute(statement).one_or_none()
    if row is None:
        raise NotFound(f"there is no selection {selection_id} in this project")
    return ListedSelection(*row)


def picks_of(session: Session, selection_id: int, after: int, limit: int) -> list[PickedSnippet]:
    """Picks with their snippets, by rank, beyond rank `after`."""
    statement = (
        select(Pick, Snippet)
        .join(Snippet, Snippet.id == Pick.snippet_id)
        .where(Pick.selection_id == selection_id, Pick.rank > after)
        .order_by(Pick.rank)
        .limit(limit)
    )
    return [PickedSnippet(pick, snippet) for pick, snippet in session.execute(statement)]


def _listed() -> Select[Selection, Run, int]:
    picks = select(func.count()).where(Pick.selection_id == Selection.id).scalar_subquery()
    return select(Selection, Run, picks).join(Run, Run.id == Selection.run_id)


def _in_pool(pool: Pool) -> tuple[ColumnElement[bool], ...]:
    return (
        Snippet.project_id == pool.project_id,
        Snippet.id <= pool.last_snippet_id,
        *_in_languages(pool.languages),
    )


def _in_languages(languages: Sequence[str] | None) -> tuple[ColumnElement[bool], ...]:
    return () if languages is None else (Snippet.language.in_(languages),)

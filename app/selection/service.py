"""Choosing a core set: asking for one, and the job that makes it."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.engine.runs import count_rows, open_run
from app.errors import Conflict, InvalidInput
from app.geometry.kcenter import Choice, IntArray, Matrix, farthest_first
from app.pipeline import LANGUAGES, RunKind
from app.selection import coverage, queries
from app.selection.embedding import EMBEDDED, FIT_ROWS, HashedEmbedder, fit, load, store
from app.selection.queries import Pool, Vectors
from app.settings import settings
from app.storage.tables import Person, Project, Run, Selection

MOST_PICKS = 1_000_000
LARGEST_SEED = 2**53 - 1  # survives JSON
_BATCH_ROWS = 1000
_PICKS_PER_STEP = 64
_OUTGROWN = 2  # a project that grew so many times over gets an embedder fitted on what it holds now


class Wanted(NamedTuple):
    """`k` snippets of these languages (None: all), the first drawn with `seed`, by this embedder (None: ours)."""

    k: int
    seed: int = 0
    languages: Sequence[str] | None = None
    embedder: str | None = None


class Chosen(NamedTuple):
    vectors: Vectors
    usable: IntArray  # rows of `vectors` that could be chosen
    choices: Sequence[Choice]  # their rows are places in `usable`


def start_selection(session: Session, project: Project, wanted: Wanted, person: Person | None) -> Run:
    """Start choosing `wanted.k` snippets of a project.

    Raises `Conflict` while the project has no snippets and `InvalidInput` for a `k` beyond them, for an unknown
    language, and for an embedder that this project has not used.
    """
    languages = _checked_languages(wanted.languages)
    embedder = _checked_embedder(session, project, wanted.embedder or settings().embedder)
    if not 0 <= wanted.seed <= LARGEST_SEED:
        raise InvalidInput(f"seed must be between 0 and {LARGEST_SEED}", field="seed")
    pool = queries.pool_size(session, project.id, languages)
    _check_k(wanted.k, pool.rows, languages)
    params = {
        "k": wanted.k,
        "seed": wanted.seed,
        "languages": languages,
        "embedder": embedder,
        "last_snippet_id": pool.last_snippet_id,
    }
    person_id = person.id if person else None
    run = open_run(session, project.id, person_id, RunKind.SELECT, params, total=pool.rows)
    session.add(
        Selection(project_id=project.id, run_id=run.id, k=wanted.k, seed=wanted.seed, languages=languages)
    )
    log(session, person_id, "selection started", f"run {run.id}", params, project_id=project.id)
    session.flush()
    return run


def select(session: Session, run: Run) -> Iterator[None]:
    """The job: embed what has no vector yet, pick, and keep the picks with their coverage.

    Fitted embedder and vectors are kept step by step; the picks come with the last transaction, all or none.
    """
    selection = queries.selection_of_run(session, run.id)
    pool = Pool(run.project_id, selection.languages, int(run.params["last_snippet_id"]))
    if selection.embedder is None:
        _settle_embedder(session, run, selection)
        yield
    assert selection.embedder is not None
    for embedded in _embed_missing(session, pool, load(selection.embedder, embedders_folder())):
        run.progress = run.progress | {"embedded": embedded}
        yield

    vectors = queries.vectors_of(session, pool, selection.embedder)
    yield  # no transaction stays open while we compute
    usable = _distinct_rows(vectors.points)
    if not usable.size:
        raise Conflict(f"{selection.embedder} recognises nothing in any of the {run.total:,} snippets")
    choices: list[Choice] = []
    for choice in islice(farthest_first(vectors.points[usable], selection.seed), selection.k):
        choices.append(choice)
        if len(choices) % _PICKS_PER_STEP == 0:
            run.progress = run.progress | {"picked": len(choices)}
            yield
    _keep(session, run, selection, Chosen(vectors, usable, choices))


def embedders_folder() -> Path:
    return settings().files / "embedders"


def _checked_languages(languages: Sequence[str] | None) -> list[str] | None:
    if languages is None:
        return None
    unknown = sorted(set(languages) - set(LANGUAGES))
    if unknown or not languages:
        what = f"unknown: {', '.join(unknown)}" if unknown else "none is named"
        raise InvalidInput(f"languages must be some of {', '.join(LANGUAGES)}; {what}", field="languages")
    return sorted(set(languages))


def _checked_embedder(session: Session, project: Project, embedder: str) -> str:
    known = [EMBEDDED, *queries.embedders_of(session, project.id)]
    if embedder not in known:
        raise InvalidInput(
            f"there is no embedder {embedder!r} in this project, only {', '.join(known)}", field="embedder"
        )
    return embedder


def _check_k(k: int, rows: int, languages: Sequence[str] | None) -> None:
    where = f" in {', '.join(languages)}" if languages else ""
    if rows == 0:
        raise Conflict(f"the project has no snippets{where} yet: add a source first")
    if not 1 <= k <= MOST_PICKS:
        raise InvalidInput(f"k must be between 1 and {MOST_PICKS:,}", field="k")
    if k > rows:
        raise InvalidInput(f"k is {k:,}, but the project has only {rows:,} snippets{where}", field="k")


def _settle_embedder(session: Session, run: Run, selection: Selection) -> None:
    """Take the embedder asked for, else the project's last, else fit one: also where the last is outgrown."""
    asked = str(run.params["embedder"])
    if asked != EMBEDDED:
        selection.embedder = asked
        return
    snippets = queries.pool_size(session, run.project_id, None).rows
    last = queries.last_fitted(session, run.project_id)
    if last is None or last.snippets * _OUTGROWN <= min(snippets, FIT_ROWS):
        texts = queries.texts_to_fit(session, run.project_id, int(run.params["last_snippet_id"]))
        last = queries.Fitted(store(fit(texts), embedders_folder()).name, len(texts))
    selection.embedder = last.embedder
    run.progress = run.progress | {"fitted_on": last.snippets}


def _embed_missing(session: Session, pool: Pool, embedder: HashedEmbedder) -> Iterator[int]:
    """Embed a thousand snippets per step; yields how many this job has embedded so far."""
    after = embedded = 0
    while batch := queries.snippets_to_embed(session, pool, embedder.name, after, _BATCH_ROWS):
        snippet_ids, texts = [row[0] for row in batch], [row[1] for row in batch]
        queries.keep_vectors(session, embedder.name, snippet_ids, embedder.embed(texts))
        after = snippet_ids[-1]
        embedded += len(batch)
        yield embedded


def _distinct_rows(points: Matrix) -> IntArray:
    """Numbers of the rows that can be chosen: those with a direction, the first of each set of equals."""
    rows = np.ascontiguousarray(points + 0.0)  # -0.0 equals 0.0, though its bytes do not
    as_bytes = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    firsts = np.unique(as_bytes, return_index=True)[1]
    return np.sort(firsts[points[firsts].any(axis=1)])


def _keep(session: Session, run: Run, selection: Selection, found: Chosen) -> None:
    vectors, usable, choices = found
    chosen = np.array([choice.row for choice in choices], dtype=np.int64)
    picked = usable[chosen].tolist()
    snippet_ids = [vectors.snippet_ids[row] for row in picked]
    queries.add_picks(session, selection.id, snippet_ids, [choice.radius for choice in choices])
    shares = coverage.shares(vectors.languages, [vectors.languages[row] for row in picked])
    selection.coverage = {
        "curve": coverage.curve(vectors.points[usable], chosen, selection.seed),
        "shares": [share._asdict() for share in shares],
    }
    rows, blank = len(vectors.points), int((~vectors.points.any(axis=1)).sum())
    ended = {
        "picked": len(picked),
        "covered": len(usable) - len(picked),
        "same_vector": rows - blank - len(usable),
        "no_vector": blank,
    }
    run.total = rows
    count_rows(session, run, ended)

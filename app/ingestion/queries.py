"""What ingestion reads and writes: sources, snippets, the rejection ledger."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ARRAY, Text, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.ingestion.rows import Code, Refusal
from app.storage.keyset import newest_first
from app.storage.tables import Project, Rejection, Run, RunCount, Snippet, Source

_TEXTS = ("content_hash", *Code._fields)


class SnippetFilter(NamedTuple):
    """Which snippets are asked for; None is "any"."""

    language: str | None = None
    license: str | None = None  # SPDX, or "unknown"
    source_id: int | None = None
    text: str | None = None  # in the function's name, its path or its repository


class IngestedSource(NamedTuple):
    source: Source
    run: Run
    rows: dict[str, int]  # by what became of them


class LedgerEntry(NamedTuple):
    """A rule, how many rows it refused, and at most five of them."""

    rule: str
    rows: int
    exhibits: list[Rejection]


# --- the job ----------------------------------------------------------------------------------------------


def source_of_run(session: Session, run_id: int) -> Source:
    return session.scalars(select(Source).where(Source.run_id == run_id)).one()


def allowed_licenses(session: Session, project_id: int) -> list[str] | None:
    return session.get_one(Project, project_id).allowed_licenses


def add_snippets(session: Session, source: Source, codes: Mapping[str, Code]) -> set[str]:
    """Insert snippets by content hash. Returns the hashes that were new to the project."""
    # One ingestion of a project writes at a time: two that meet the same rows in another order would deadlock.
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("ingest"), source.project_id)))
    columns = zip(*((content_hash, *code) for content_hash, code in codes.items()), strict=True)
    arrays = [literal(list(column), ARRAY(Text)) for column in columns]
    if not arrays:
        return set()
    new = func.unnest(*arrays).table_valued(*_TEXTS).render_derived()
    statement = (
        insert(Snippet)
        .from_select(
            ["project_id", "source_id", *_TEXTS],
            select(literal(source.project_id), literal(source.id), *new.c),
        )
        .on_conflict_do_nothing(index_elements=[Snippet.project_id, Snippet.content_hash])
        .returning(Snippet.content_hash)
    )
    return set(session.scalars(statement))


def known_snippets(session: Session, project_id: int, hashes: Sequence[str]) -> dict[str, Snippet]:
    """The project's snippets with these content hashes."""
    statement = select(Snippet).where(Snippet.project_id == project_id, Snippet.content_hash.in_(hashes))
    return {snippet.content_hash: snippet for snippet in session.scalars(statement)}


def rows_by_code(session: Session, run_id: int) -> dict[str, int]:
    rows = session.execute(select(RunCount.code, RunCount.rows).where(RunCount.run_id == run_id))
    return {code: number for code, number in rows}


def add_exhibits(session: Session, run_id: int, refusals: Sequence[Refusal]) -> None:
    session.add_all(Rejection(run_id=run_id, **refused._asdict()) for refused in refusals)


# --- lists ------------------------------------------------------------------------------------------------


def sources_of(session: Session, project_id: int, before: int | None, limit: int) -> list[IngestedSource]:
    """The newest first, older than `before`."""
    sources = select(Source, Run).join(Run, Run.id == Source.run_id).where(Source.project_id == project_id)
    found = session.execute(newest_first(sources, Source.id, before, limit)).all()
    return [IngestedSource(source, run, rows_by_code(session, run.id)) for source, run in found]


def source_of(session: Session, project_id: int, source_id: int) -> IngestedSource:
    source = session.get(Source, source_id)
    if source is None or source.project_id != project_id:
        raise NotFound(f"there is no source {source_id} in this project")
    run = session.get_one(Run, source.run_id)
    return IngestedSource(source, run, rows_by_code(session, run.id))


def ledger_of(session: Session, found: IngestedSource) -> list[LedgerEntry]:
    """What the rules refused of a source, the most frequent first."""
    exhibits: dict[str, list[Rejection]] = {}
    statement = select(Rejection).where(Rejection.run_id == found.run.id).order_by(Rejection.id)
    for rejection in session.scalars(statement):
        exhibits.setdefault(rejection.rule, []).append(rejection)
    return [
        LedgerEntry(rule, found.rows[rule], shown)
        for rule, shown in sorted(exhibits.items(), key=lambda entry: -found.rows[entry[0]])
    ]


def snippets_of(
    session: Session, project_id: int, wanted: SnippetFilter, after: int | None, limit: int
) -> Sequence[Snippet]:
    """In the order of their arrival, after number `after`."""
    statement = select(Snippet).where(Snippet.project_id == project_id).order_by(Snippet.id).limit(limit)
    if after is not None:
        statement = statement.where(Snippet.id > after)
    if wanted.language is not None:
        statement = statement.where(Snippet.language == wanted.language)
    if wanted.license is not None:
        unknown = wanted.license == "unknown"
        statement = statement.where(
            Snippet.license.is_(None) if unknown else Snippet.license == wanted.license
        )
    if wanted.source_id is not None:
        statement = statement.where(Snippet.source_id == wanted.source_id)
    if wanted.text:
        fields = (Snippet.name, Snippet.path, Snippet.repo)
        statement = statement.where(or_(*(field.icontains(wanted.text, autoescape=True) for field in fields)))
    return session.scalars(statement).all()


def snippet_of(session: Session, project_id: int, snippet_id: int) -> Snippet:
    snippet = session.get(Snippet, snippet_id)
    if snippet is None or snippet.project_id != project_id:
        raise NotFound(f"there is no snippet {snippet_id} in this project")
    return snippet


def snippets_by_language(session: Session, project_id: int) -> dict[str, int]:
    """How many snippets of each language the project has, most first."""
    statement = (
        select(Snippet.language, func.count())
        .where(Snippet.project_id == project_id)
        .group_by(Snippet.language)
        .order_by(func.count().desc(), Snippet.language)
    )
    return {language: number for language, number in session.execute(statement)}

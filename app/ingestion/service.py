"""Use cases of ingestion: start one, and the job that does it. They never commit."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePath
from typing import BinaryIO

from sqlalchemy.orm import Session

from app.accounts.log import log
from app.code.fingerprint import fingerprint
from app.engine.runs import count_rows, open_run
from app.errors import InvalidInput, NotFound
from app.ingestion import queries
from app.ingestion.cleaning import DUPLICATE_RULE, Rule, refused, rules_for
from app.ingestion.licences import spdx
from app.ingestion.readers import Format, asked_format, format_of, read_source
from app.ingestion.rows import Refusal, Row, printable, refusal
from app.ingestion.uploads import FOLDER, keep_upload
from app.pipeline import RunKind
from app.settings import settings
from app.storage.tables import Person, Project, Run, Source

ADDED = "added"
EXHIBITS = 5  # of each rule and run
_BATCH = 1000  # rows
_ENDS_THE_FILE = {"broken_gzip", "broken_parquet", "too_many_files", "empty_file"}


def start_ingest(
    session: Session,
    project: Project,
    path: Path,
    format_: str,
    license_: str | None,
    person: Person | None,
    *,
    name: str | None = None,
) -> Run:
    """Start reading a file or folder of this machine into a project.

    `format_` is a `Format` or `auto`; `license_` is for rows that say nothing of their own; `name` is what
    people call the source, by default the path's last part. Raises InvalidInput for what cannot be read at
    all: no such path, an unknown format or licence.
    """
    path = path.resolve()
    name = printable(name or path.name)[:200]
    spdx_license = _spdx(license_)
    format_ = format_of(path, name, format_)
    if not os.access(path, os.R_OK):
        raise InvalidInput(f"{name}: permission to read it is missing", "file")
    person_id = person.id if person else None
    params = {"source": name, "format": format_, "license": spdx_license}
    run = open_run(session, project.id, person_id, RunKind.INGEST, params)
    source = Source(project_id=project.id, run_id=run.id, name=name, format=format_, license=spdx_license)
    source.location = _location(path)
    session.add(source)
    log(session, person_id, "ingestion started", f"run {run.id}", params, project_id=project.id)
    session.flush()
    return run


def start_ingest_of_upload(
    session: Session,
    project: Project,
    upload: BinaryIO,
    name: str,
    format_: str,
    license_: str | None,
    person: Person,
) -> Run:
    """Keep an upload by its content hash and start reading it. A refused one leaves nothing behind."""
    _spdx(license_)
    asked_format(format_)
    path = keep_upload(upload, settings().files)
    return start_ingest(
        session, project, path, format_, license_, person, name=PurePath(name).name or "upload"
    )


def ingest(session: Session, run: Run) -> Iterator[None]:
    """The job: read, clean and keep a thousand rows per step.

    Reading is always in the same order, so after a crash it goes on behind the rows of the last commit and
    every row is counted once.
    """
    source = queries.source_of_run(session, run.id)
    path = _path(source)
    if not path.exists():
        raise NotFound(f"{source.name} is no longer where it was when the run began")
    rules = rules_for(queries.allowed_licenses(session, run.project_id))
    done = int(run.progress.get("rows", 0))
    outcomes = islice(read_source(path, source.name, Format(source.format), source.license), done, None)
    while batch := [_cleaned(outcome, rules) for outcome in islice(outcomes, _BATCH)]:
        _keep(session, run, source, batch)
        done += len(batch)
        run.progress = run.progress | {"rows": done}
        run.total = done
        yield
    run.reason = run.reason or _nothing_new(queries.rows_by_code(session, run.id))


def _spdx(license_: str | None) -> str | None:
    if not license_:
        return None
    found = spdx(license_)
    if found is None:
        raise InvalidInput(f"“{license_}” is not an SPDX licence expression, such as MIT", "license")
    return found


def _location(path: Path) -> str:
    uploads = settings().files / FOLDER
    return f"{FOLDER}/{path.name}" if path.parent == uploads else str(path)


def _path(source: Source) -> Path:
    return settings().files / source.location  # an absolute location stays as it is


def _cleaned(outcome: Row | Refusal, rules: Sequence[Rule]) -> Row | Refusal:
    return outcome if isinstance(outcome, Refusal) else refused(outcome, rules) or outcome


def _keep(session: Session, run: Run, source: Source, batch: list[Row | Refusal]) -> None:
    """Add what is new, count everything, and keep the first exhibits of each rule."""
    rows = [(fingerprint(one.code.code), one) for one in batch if isinstance(one, Row)]
    first: dict[str, Row] = {}
    for content_hash, row in rows:
        first.setdefault(content_hash, row)
    added = queries.add_snippets(session, source, {key: row.code for key, row in first.items()})
    duplicates = [
        (content_hash, row)
        for content_hash, row in rows
        if content_hash not in added or row is not first[content_hash]
    ]
    refusals = [one for one in batch if isinstance(one, Refusal)]
    counts = Counter(one.rule for one in refusals) + Counter(
        {DUPLICATE_RULE: len(duplicates), ADDED: len(added)}
    )
    shown_before = queries.rows_by_code(session, run.id)
    room = max(0, EXHIBITS - shown_before.get(DUPLICATE_RULE, 0))
    _exhibit(session, run, shown_before, [*refusals, *_as_refusals(session, run, duplicates[:room])])
    count_rows(session, run, counts)
    for one in refusals:
        if one.rule in _ENDS_THE_FILE:
            run.reason = f"{one.file}: {one.why}"


def _as_refusals(session: Session, run: Run, duplicates: list[tuple[str, Row]]) -> list[Refusal]:
    known = queries.known_snippets(session, run.project_id, [content_hash for content_hash, _ in duplicates])
    return [
        refusal(
            DUPLICATE_RULE,
            row.file,
            row.line,
            row.code.code,
            f"snippet {known[content_hash].id} has the same code "
            f"({known[content_hash].repo} {known[content_hash].path})",
        )
        for content_hash, row in duplicates
    ]


def _exhibit(session: Session, run: Run, shown_before: dict[str, int], refusals: list[Refusal]) -> None:
    shown = Counter(shown_before)
    exhibits: list[Refusal] = []
    for one in refusals:
        if shown[one.rule] < EXHIBITS:
            shown[one.rule] += 1
            exhibits.append(one)
    queries.add_exhibits(session, run.id, exhibits)


def _nothing_new(counts: dict[str, int]) -> str | None:
    if counts.get(ADDED):
        return None
    known = counts.get(DUPLICATE_RULE, 0)
    if known and known == sum(counts.values()):
        return f"nothing new: all {known:,} functions are in the project already"
    if known:
        return f"nothing new: {known:,} functions are in the project already, the rules refuse the others"
    return "nothing was added: the rules refuse every row"

"""Use cases of ingestion: start one, and the job that does it. They never commit."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, BinaryIO, TypeVar

from sqlalchemy.orm import Session

from app.accounts.log import log
from app.code.fingerprint import fingerprint
from app.engine.runs import open_run
from app.errors import InvalidInput, NotFound
from app.ingestion import queries
from app.ingestion.cleaning import DUPLICATE_RULE, Rule, refused, rules_for
from app.ingestion.confined import Reading, ReadingStopped
from app.ingestion.decoding import unreadable
from app.ingestion.ledger import ADDED, keep_ledger, room_for
from app.ingestion.licences import checked_spdx
from app.ingestion.readers import Format, asked_format, format_of, read_source
from app.ingestion.rows import ODD, Refusal, Row, printable, refusal
from app.ingestion.uploads import kept_upload, location_of
from app.pipeline import RunKind
from app.settings import settings
from app.storage.tables import Person, Project, Run, Source

_Read = TypeVar("_Read")

LONGEST_NAME = 200
_LINE_ENDS = re.compile(r"[\t\n\r\x85\u2028\u2029]")
_STARTED = {RunKind.INGEST: "ingestion started", RunKind.IMPORT: "import started"}


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
    name = name_of(path, name)
    said = {"license": checked_spdx(license_)}
    format_ = format_of(path, name, format_)
    return open_source(
        session, project, RunKind.INGEST, path, {"source": name, "format": format_, **said}, person
    )


def name_of(path: Path, name: str | None) -> str:
    """What people call a source: as they said, or the last part of its path; on one line and with its ending."""
    name = _LINE_ENDS.sub("\N{REPLACEMENT CHARACTER}", printable(name or path.name))
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 50]}…{name[-49:]}"


def open_source(
    session: Session,
    project: Project,
    kind: RunKind,
    path: Path,
    params: dict[str, Any],
    person: Person | None,
) -> Run:
    """Open the run that reads a file; `params` name the source, its format and its licence, and what else was asked.

    Raises InvalidInput where the file may not be read, or lies where no text of the database can point to.
    """
    if printable(str(path)) != str(path):
        raise InvalidInput(
            f"{params['source']}: its path is not UTF-8, or holds control characters: rename it", "file"
        )
    if not os.access(path, os.R_OK):
        raise InvalidInput(f"{params['source']}: permission to read it is missing", "file")
    person_id = person.id if person else None
    run = open_run(session, project.id, person_id, kind, params)
    source = Source(project_id=project.id, run_id=run.id, name=params["source"], format=params["format"])
    source.license, source.location = params["license"], location_of(path, settings().files)
    session.add(source)
    log(session, person_id, _STARTED[kind], f"run {run.id}", params, project_id=project.id)
    session.flush()
    return run


def file_of(source: Source) -> Path:
    """Where a source lies. Raises NotFound when it is gone."""
    path = settings().files / source.location  # an absolute location stays as it is
    if not path.exists():
        raise NotFound(f"{source.name} is no longer where it was when the run began")
    return path


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
    checked_spdx(license_)
    asked_format(format_)
    name = PurePath(name).name or "upload"
    with kept_upload(upload, settings().files) as path:
        return start_ingest(session, project, path, format_, license_, person, name=name)


def ingest(session: Session, run: Run) -> Iterator[None]:
    """The job: read and clean in a process of its own, and keep a thousand rows per step.

    Reading is always in the same order, so after a crash it goes on behind the rows of the last commit and
    every row is counted once.
    """
    source = queries.source_of_run(session, run.id)
    path, name, format_, license_ = file_of(source), source.name, Format(source.format), source.license
    rules = rules_for(queries.allowed_licenses(session, run.project_id))
    done = int(run.progress.get("rows", 0))

    def outcomes() -> Iterator[Row | Refusal]:
        return (_cleaned(one, rules) for one in read_source(path, name, format_, license_))

    for batch in read_apart(outcomes, name, done):
        if batch:
            _keep(session, run, source, batch)
            done += len(batch)
            run.progress = run.progress | {"rows": done}
            run.total = done
        yield
    run.reason = run.reason or _nothing_new(queries.rows_by_code(session, run.id))


def read_apart(
    outcomes: Callable[[], Iterable[_Read | Refusal]], file: str, skip: int
) -> Iterator[list[_Read | Refusal]]:
    """What comes after the first `skip`, in batches; an empty one where nothing came for a while.

    Where reading had to be ended, the last outcome is the refusal that says why.
    """
    with Reading(outcomes, skip) as reading:
        read = skip
        try:
            for batch in reading.steps():
                yield batch
                read += len(batch)
        except ReadingStopped as stopped:
            yield [refusal("reading_stopped", file, None, "", f"after outcome {read:,}: {stopped}")]


def _cleaned(outcome: Row | Refusal, rules: Sequence[Rule]) -> Row | Refusal:
    if isinstance(outcome, Refusal):
        return outcome
    try:
        return refused(outcome, rules) or outcome
    except ODD as error:
        return unreadable(error, outcome.file, outcome.line)


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
    shown = duplicates[: room_for(session, run, DUPLICATE_RULE)]
    keep_ledger(session, run, counts, [*refusals, *_as_refusals(session, run, shown)])


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


def _nothing_new(counts: dict[str, int]) -> str | None:
    if counts.get(ADDED):
        return None
    known = counts.get(DUPLICATE_RULE, 0)
    if known and known == sum(counts.values()):
        return f"nothing new: all {known:,} functions are in the project already"
    if known:
        return f"nothing new: {known:,} functions are in the project already, the rules refuse the others"
    return "nothing was added: the rules refuse every row"

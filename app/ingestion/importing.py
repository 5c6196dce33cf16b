"""Use cases of finished sets: start an import, and the job that does it. Touches the tables; never commits."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePath
from typing import BinaryIO, NamedTuple

from sqlalchemy.orm import Session

from app.errors import InvalidInput
from app.ingestion import instances, queries
from app.ingestion.confined import Reading, ReadingStopped
from app.ingestion.finished import DUPLICATE_RULE, SHAPES, Finished, Given, finished, shape_of
from app.ingestion.ledger import ADDED, keep_ledger, room_for
from app.ingestion.licences import checked_spdx
from app.ingestion.readers import AUTO
from app.ingestion.records import Record, count_records, first_records, read_records
from app.ingestion.rows import Refusal, refusal
from app.ingestion.service import file_of, name_of, open_source, read_apart
from app.ingestion.uploads import kept_upload
from app.pipeline import INSTANCE_LANGUAGES, RunKind, Task
from app.prompting.exemplars import text_hash
from app.settings import settings
from app.storage.tables import Person, Project, Run, Source

_LOOKED_AT = 50  # records, to recognise a format by the first that shows one
_NOT_READ = {b"PAR1": "a Parquet file", b"PK\x03\x04": "a zip archive or a spreadsheet"}


class Asked(NamedTuple):
    """How a set is to be read. `task` and `language` are for rows that name none; None is "find out"."""

    format: str = AUTO
    license: str | None = None  # SPDX, for rows that name none
    task: str | None = None
    language: str | None = None


def start_import(
    session: Session,
    project: Project,
    path: Path,
    asked: Asked,
    person: Person | None,
    *,
    name: str | None = None,
) -> Run:
    """Start reading a finished set of this machine into a project; `name` is what people call it.

    Raises InvalidInput naming the field: no such file, one that is no such set, an unknown format, licence, task or
    language.
    """
    checked = _checked(asked)
    path = path.resolve()
    name = name_of(path, name)
    shape = _shape(path, name, checked.format)
    params = checked._replace(format=shape)._asdict()
    return open_source(session, project, RunKind.IMPORT, path, {"source": name, **params}, person)


def start_import_of_upload(
    session: Session, project: Project, upload: BinaryIO, name: str, asked: Asked, person: Person
) -> Run:
    """Keep an upload by its content hash and start reading it. A refused one leaves nothing behind."""
    _checked(asked)
    name = PurePath(name).name or "upload"
    with kept_upload(upload, settings().files) as path:
        return start_import(session, project, path, asked, person, name=name)


def import_set(session: Session, run: Run) -> Iterator[None]:
    """The job: read in a process of its own, and keep a thousand rows per step.

    Reading is always in the same order, so after a crash it goes on behind the rows of the last commit and
    every row is counted once.
    """
    source = queries.source_of_run(session, run.id)
    path, name = file_of(source), source.name
    allowed = queries.allowed_licenses(session, run.project_id)
    given = _given(run, source)
    before_edits = instances.texts_before_edits(session, run.project_id)
    done = int(run.progress.get("rows", 0))
    if source.format == AUTO:
        yield from _settle_format(source, path)
    if not done:
        yield from _count(run, path, name)
    shape = source.format

    def outcomes() -> Iterator[Finished | Refusal]:
        return (_read(one, name, shape, given, allowed) for one in read_records(path, name))

    for batch in read_apart(outcomes, name, done):
        if batch:
            _keep(session, run, batch, before_edits)
            done += len(batch)
            run.progress = run.progress | {"rows": done}
            run.total = max(run.total, done)
        yield
    run.total = done
    run.reason = run.reason or _nothing_new(queries.rows_by_code(session, run.id))


def _count(run: Run, path: Path, name: str) -> Iterator[None]:
    """How many rows there are to come, as far as they can be counted."""
    with Reading(lambda: count_records(path, name)) as reading, suppress(ReadingStopped):
        for counts in reading.steps():
            run.total = max([run.total, *counts])
            yield


def _settle_format(source: Source, path: Path) -> Iterator[None]:
    """Recognise a format that the first megabyte did not show. Raises InvalidInput where none is shown."""
    name = source.name
    records: list[Record] = []

    def outcomes() -> Iterator[Record]:
        return (one for one in islice(read_records(path, name), _LOOKED_AT) if isinstance(one, Record))

    with Reading(outcomes) as reading, suppress(ReadingStopped):
        for batch in reading.steps():
            records += batch
            yield
    source.format = _shown(records, name)


def _read(
    outcome: Record | Refusal, file: str, shape: str, given: Given, allowed: list[str] | None
) -> Finished | Refusal:
    if isinstance(outcome, Refusal):
        return outcome
    return finished(outcome.value, file, outcome.number, shape, given, allowed)


def _keep(
    session: Session, run: Run, batch: Sequence[Finished | Refusal], before_edits: dict[str, int]
) -> None:
    """Add what is new, count everything, and keep the first exhibits of each rule."""
    rows = [(_hash_of(one), one) for one in batch if isinstance(one, Finished)]
    instances.lock_imports(session, run.project_id)
    known = before_edits | instances.known_texts(session, run.project_id, [found for found, _ in rows])
    new: dict[str, Finished] = {}
    duplicates: list[tuple[str, Finished]] = []
    for found, row in rows:
        if found in known or found in new:
            duplicates.append((found, row))
        else:
            new[found] = row
    ids = instances.add_imported(session, run, list(new.items()))
    known |= dict(zip(new, ids, strict=True))
    refusals = [one for one in batch if isinstance(one, Refusal)]
    counts = Counter(one.rule for one in refusals)
    counts += Counter({DUPLICATE_RULE: len(duplicates), ADDED: len(new)})
    shown = duplicates[: room_for(session, run, DUPLICATE_RULE)]
    copies = [_as_refusal(row, known[found]) for found, row in shown]
    keep_ledger(session, run, counts, [*refusals, *copies])


def _hash_of(row: Finished) -> str:
    one = row.instruction
    return text_hash(one.task, one.instruction, one.information, one.solution)


def _as_refusal(row: Finished, instance_id: int) -> Refusal:
    text = f"{row.instruction.instruction}\n{row.instruction.solution}"
    return refusal(DUPLICATE_RULE, row.file, row.line, text, f"instance {instance_id} has the same text")


# --- what was asked ---------------------------------------------------------------------------------------


def _checked(asked: Asked) -> Asked:
    _one_of("format", asked.format, (AUTO, *SHAPES))
    _one_of("task", asked.task, tuple(Task))
    _one_of("language", asked.language, INSTANCE_LANGUAGES)
    return Asked(
        asked.format or AUTO, checked_spdx(asked.license), asked.task or None, asked.language or None
    )


def _one_of(field: str, value: str | None, known: Sequence[str]) -> None:
    if value and value not in known:
        raise InvalidInput(f"unknown {field} “{value[:60]}”: one of {', '.join(known)}", field)


def _given(run: Run, source: Source) -> Given:
    task = run.params.get("task")
    return Given(source.license, Task(task) if task else None, run.params.get("language"))


def _shape(path: Path, name: str, asked: str) -> str:
    """The format that was asked for, or the one that the first records show; AUTO where the first megabyte has none.

    Raises InvalidInput.
    """
    if not path.exists():
        raise InvalidInput(f"{name}: no such file", "file")
    if not path.is_file():
        raise InvalidInput(
            f"{name} is not a file: a set is one file of JSON lines, or one JSON array", "file"
        )
    with path.open("rb") as file:
        head = file.read(4)
    if head in _NOT_READ:
        why = "a finished set is read from JSON lines (.jsonl) or a JSON array, plain or .gz"
        raise InvalidInput(f"{name} is {_NOT_READ[head]}: {why}", "file")
    if asked != AUTO:
        return asked
    head = first_records(path, name, _LOOKED_AT)
    records = [one for one in head.outcomes if isinstance(one, Record)]
    if not records and not head.is_whole:
        return AUTO  # the worker reads on
    return _shown(records, name)


def _shown(records: Sequence[Record], name: str) -> str:
    shape = next((found for found in (shape_of(one.value) for one in records) if found), None)
    if shape is None:
        keys = ", ".join(map(str, list(records[0].value)[:12])) if records else "no record that could be read"
        raise InvalidInput(
            f"{name} shows none of the formats {', '.join(SHAPES)}; its first record has {keys[:300]}. "
            "Rename its keys to instruction, input and output, or name the format",
            "format",
        )
    return shape


def _nothing_new(counts: dict[str, int]) -> str | None:
    if counts.get(ADDED):
        return None
    known = counts.get(DUPLICATE_RULE, 0)
    if known and known == sum(counts.values()):
        return f"nothing new: all {known:,} rows are in the project already"
    return "nothing was added: look below for why"

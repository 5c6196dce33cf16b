"""Whether a release is what its manifest and its certificate say, from the files alone. Touches the folder it is
given, reading only: no database, no running instance."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.export.formats import (
    ALWAYS_BUILT,
    CARD,
    CERTIFICATE,
    CODEOCEAN,
    DERIVED,
    MANIFEST,
    PARQUET,
    file_name,
    line,
    parsed_file_name,
)
from app.export.quoting import quoted, summary
from app.export.writing import COLUMNS, MANIFEST_HASH, parquet_rows, release_hash, rows_of, sha256_of
from app.guarantee.certificate import LOT_FILE
from app.guarantee.lot import Frozen, canonical, hash_without, lot_bytes
from app.guarantee.recheck import differences, problems
from app.pipeline import InstanceStatus
from app.rows.codeocean import SCHEMA_VERSION, Row, row_hash

AUDITED, NOT_AUDITED = "audited", "not audited"
_MOST_NAMED = 100  # things that are wrong with a manifest
_ODD = (  # what a file that anybody may have written raises in whoever reads it
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    pa.ArrowException,
)


class Verified(NamedTuple):
    """What was found. `manifest` and `certificate` are None where they are missing or cannot be read."""

    problems: list[str]
    manifest: Mapping[str, Any] | None = None
    certificate: Mapping[str, Any] | None = None


_Rows = Annotated[int, Field(ge=0, le=2**63 - 1)]
_Split = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")]


class Listed(BaseModel):
    """A file in the manifest."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    format: str
    split: str | None
    rows: _Rows
    bytes: _Rows
    sha256: str


class Gate(BaseModel):
    """What a gate did."""

    model_config = ConfigDict(extra="forbid", strict=True)

    mode: Literal["block", "admit"]
    found: _Rows
    removed: _Rows


class Manifest(BaseModel):
    """What is checked of a manifest; the rest stands under its own hash."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: str
    schema_version: int
    basis: str
    rows: _Rows
    splits: dict[_Split, _Rows]
    files: list[Listed]
    sha256: str
    self_sha256: str | None = None  # releases of 2026-11-25 and before have none
    project: str | None = None
    audit: dict[str, Any] | str = NOT_AUDITED
    certificate: dict[str, Any] | None = None
    gates: dict[str, Gate | Literal["not checked"]] = {}
    funnel: dict[str, _Rows] = {}


def verify(folder: Path) -> Verified:
    """Check everything that the folder holds against everything else; each problem is a sentence."""
    try:
        raw = _read_json(_content(folder / MANIFEST))
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        wrong = [f"{MANIFEST}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        return Verified(wrong[:_MOST_NAMED])
    except _ODD as error:
        return Verified([f"{MANIFEST} cannot be read: {_words(error)}"])
    try:
        return _verified(folder, raw, manifest)
    except _ODD as error:
        return Verified([f"the folder cannot be checked to its end: {_words(error)}"], raw)


def _verified(folder: Path, raw: Mapping[str, Any], manifest: Manifest) -> Verified:
    found = list(_of_the_manifest(raw, manifest))
    broken = dict(_of_listed_files(folder, manifest))
    found += broken.values()
    found += _of_other_files(folder, manifest)
    certificate = None
    if all(_is_file(folder / file_name(CODEOCEAN, split)) for split in manifest.splits):
        of_rows = list(_of_rows(folder, manifest))
        found += of_rows
        if not of_rows:
            found += _of_derived_files(folder, manifest, broken)
            certificate, of_the_audit = _of_the_audit(folder, manifest)
            found += of_the_audit
    return Verified(found, raw, certificate)


# --- the manifest and its files ---------------------------------------------------------------------------


def _of_the_manifest(raw: Mapping[str, Any], manifest: Manifest) -> Iterator[str]:
    if manifest.self_sha256 is None and manifest.basis == AUDITED:
        yield f"{MANIFEST}: {MANIFEST_HASH} is missing, which every version wrote that cut audited releases"
    elif manifest.self_sha256 is not None and hash_without(raw, MANIFEST_HASH) != manifest.self_sha256:
        yield f"{MANIFEST} differs from its own {MANIFEST_HASH}"
    if manifest.schema_version != SCHEMA_VERSION:
        yield f"{MANIFEST}: schema_version is {manifest.schema_version}, this version knows {SCHEMA_VERSION}"
    if sum(manifest.splits.values()) != manifest.rows:
        yield f"{MANIFEST}: rows is {manifest.rows}, and the splits have {sum(manifest.splits.values())}"
    yield from _of_the_counts(manifest)
    listed = [file.name for file in manifest.files]
    yield from (f"{name} is listed twice" for name in sorted(set(listed)) if listed.count(name) > 1)
    awaited = [file_name(format_, split) for split in manifest.splits for format_ in ALWAYS_BUILT] + [CARD]
    if manifest.basis == AUDITED:
        awaited += [CERTIFICATE, LOT_FILE]
    elif CERTIFICATE in listed:
        yield f"{CERTIFICATE} is listed, and the basis is {manifest.basis}"
    yield from (f"{name} is not listed in {MANIFEST}" for name in awaited if name not in listed)
    for file in manifest.files:
        parsed = parsed_file_name(file.name)
        if parsed is not None and (parsed != (file.format, file.split) or file.split not in manifest.splits):
            yield f"{file.name} is listed as {file.format} of the split {file.split}"
        elif parsed is not None and file.rows != manifest.splits[parsed[1]]:
            yield f"{file.name} is listed with {file.rows} rows, its split with {manifest.splits[parsed[1]]}"


def _of_the_counts(manifest: Manifest) -> Iterator[str]:
    """What the manifest says of the way to its rows has to agree with itself."""
    for name, gate in manifest.gates.items():
        if isinstance(gate, Gate) and (gate.removed > gate.found or (gate.mode == "admit" and gate.removed)):
            yield (
                f"{MANIFEST}: gates.{name} {gate.mode}s, and of {gate.found} rows found {gate.removed} are removed"
            )
    steps = manifest.funnel
    if steps.get("released", manifest.rows) != manifest.rows:
        yield f"{MANIFEST}: funnel.released is {steps['released']}, and rows is {manifest.rows}"
    by_status = [rows for step, rows in steps.items() if step in tuple(InstanceStatus)]
    if "instances" in steps and sum(by_status) != steps["instances"]:
        yield f"{MANIFEST}: funnel.instances is {steps['instances']}, and by status they are {sum(by_status)}"
    if steps.get("picked", 0) > steps.get("snippets", steps.get("picked", 0)):
        yield f"{MANIFEST}: funnel.picked is {steps['picked']}, of {steps['snippets']} snippets"
    if manifest.basis != AUDITED and (manifest.audit != NOT_AUDITED or manifest.certificate is not None):
        yield f"{MANIFEST}: audit or certificate claim an audit, and the basis is {manifest.basis}"


def _of_listed_files(folder: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """(name, what is wrong) of each file that is not the one that was listed."""
    for file in manifest.files:
        path = folder / file.name
        if Path(file.name).name != file.name:
            yield file.name, f"{file.name!r} is listed, which is no name of a file in the folder"
        elif not _is_file(path):
            yield file.name, f"{file.name} is missing" if not _is_there(path) else f"{file.name} is no file"
        else:
            try:
                wrong = _of_a_file(path, file)
            except OSError as error:
                wrong = f"{file.name} cannot be read: {_words(error)}"
            if wrong:
                yield file.name, wrong


def _of_a_file(path: Path, file: Listed) -> str | None:
    if (size := path.stat().st_size) != file.bytes:
        return f"{file.name} has {size} bytes, not {file.bytes}"
    return f"{file.name} differs from its SHA-256" if sha256_of(path) != file.sha256 else None


def _of_other_files(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Formats that a release derives on request may lie there unlisted. Hidden files are no part of a data set."""
    known = {file.name for file in manifest.files} | {MANIFEST}
    for path in sorted(folder.iterdir()):
        if path.name not in known and not path.name.startswith(".") and not _is_derived(path.name, manifest):
            yield f"{path.name} is in the folder, but not listed in {MANIFEST}"


def _is_derived(name: str, manifest: Manifest) -> bool:
    parsed = parsed_file_name(name)
    return parsed is not None and parsed[0] in DERIVED and parsed[1] in manifest.splits


# --- the rows ---------------------------------------------------------------------------------------------


def _of_rows(folder: Path, manifest: Manifest) -> Iterator[str]:
    ids: set[str] = set()
    for split, awaited in manifest.splits.items():
        number = 0
        with (folder / file_name(CODEOCEAN, split)).open("rb") as file:
            for number, written in enumerate(file, start=1):
                wrong = _of_a_row(written, ids, manifest.project)
                if wrong:
                    yield f"{file_name(CODEOCEAN, split)} line {number}: {wrong}"
        if number != awaited:
            yield f"{file_name(CODEOCEAN, split)} has {number} rows, the split {awaited}"


def _of_a_row(written: bytes, ids: set[str], project: str | None) -> str | None:
    """What is wrong with it; `ids` are those of the rows before, and get its own."""
    try:
        row = _read_json(written)
    except _ODD as error:
        return f"it cannot be read: {_words(error)}"
    row_id, missing = row.get("id"), [name for name in COLUMNS if name not in row]
    if missing or not isinstance(row_id, str):
        return f"it is no codeocean row: {', '.join(missing) or 'id'}"
    if row["hash"] != row_hash(row):
        return f"row {row_id} differs from its hash"
    if row_id in ids:
        return f"row {row_id} is in the release twice"
    if project is not None and not row_id.startswith(f"{project}-"):
        return f"row {row_id} is not of the project {project}"
    ids.add(row_id)
    return None


def _of_derived_files(folder: Path, manifest: Manifest, broken: Mapping[str, str]) -> Iterator[str]:
    """Every other shape must be made from the codeocean rows, also where manifest and file agree."""
    if release_hash(folder, list(manifest.splits)) != manifest.sha256:
        yield f"{MANIFEST}: sha256 does not follow from the rows"
    for split in manifest.splits:
        source = folder / file_name(CODEOCEAN, split)
        for format_ in (PARQUET, *DERIVED):
            path = folder / file_name(format_, split)
            if _is_file(path) and path.name not in broken:
                yield from _of_a_derived_file(path, format_, source)


def _of_a_derived_file(path: Path, format_: str, source: Path) -> Iterator[str]:
    try:
        if not _has_the_rows(path, format_, source):
            yield f"{path.name} does not follow from {source.name}"
    except (OSError, MemoryError, pa.ArrowException) as error:
        yield f"{path.name} cannot be read: {_words(error)}"
    except _ODD:  # a row, or the file, has not the shape of one
        yield f"{path.name} does not follow from {source.name}"


def _has_the_rows(path: Path, format_: str, source: Path) -> bool:
    if format_ == PARQUET:
        rows = ({name: row[name] for name in COLUMNS} for row in rows_of(source))
        return all(one == other for one, other in zip_longest(parquet_rows(path), rows))
    made = hashlib.sha256()
    for row in rows_of(source):
        made.update(line(DERIVED[format_](row)))
    return made.hexdigest() == sha256_of(path)


# --- the certificate --------------------------------------------------------------------------------------


def _of_the_audit(folder: Path, manifest: Manifest) -> tuple[Mapping[str, Any] | None, list[str]]:
    """The certificate, and what is wrong with it."""
    if manifest.basis != AUDITED:
        return None, []
    try:
        certificate = _read_json(_content(folder / CERTIFICATE))
        written = _content(folder / LOT_FILE)
        lot = [_frozen(row) for row in written.splitlines()]
    except _ODD as error:
        return None, [f"the certificate or the lot cannot be read: {_words(error)}"]
    try:
        wrong = [f"{CERTIFICATE}: {one}" for one in problems(certificate, lot, _released(folder, manifest))]
        if written != lot_bytes(lot):
            wrong.append(f"{LOT_FILE} is not written as lots are: a line for each row, by id")
        wrong += [f"{MANIFEST}: {one}" for one in _of_what_is_quoted(folder, manifest, certificate, len(lot))]
    except _ODD as error:
        return None, [f"the certificate cannot be checked: {_words(error)}"]
    return certificate, wrong


def _of_what_is_quoted(
    folder: Path, manifest: Manifest, certificate: Mapping[str, Any], rows_frozen: int
) -> Iterator[str]:
    """What the manifest repeats of its certificate, and what it reckons from it."""
    decisions = (row["decision"] for row in _released(folder, manifest))
    yield from differences(manifest.certificate, quoted(certificate), "certificate")
    yield from differences(manifest.audit, summary(certificate, decisions), "audit")
    awaited = {LOT_FILE: ("lot", rows_frozen), CERTIFICATE: ("certificate", 0), CARD: ("card", 0)}
    for file in manifest.files:
        if file.name in awaited and (file.format, file.rows) != awaited[file.name]:
            format_, rows = awaited[file.name]
            yield f"{file.name} is listed as {file.format} of {file.rows} rows, and is {format_} of {rows}"


def _frozen(written: bytes) -> Frozen:
    row = _read_json(written)
    if not all(isinstance(value, str) for value in row.values()):
        raise ValueError("a row of the lot is not text")
    return Frozen(**row)


def _released(folder: Path, manifest: Manifest) -> Iterator[Row]:
    for split in manifest.splits:
        yield from rows_of(folder / file_name(CODEOCEAN, split))


# --- files and JSON ---------------------------------------------------------------------------------------------


def _is_file(path: Path) -> bool:
    """A file, or a link to one: a pipe or a device might never end."""
    try:
        return path.is_file()
    except OSError:  # its name is too long, or its folder is not ours to read
        return False


def _is_there(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


def _content(path: Path) -> bytes:
    if _is_there(path) and not _is_file(path):
        raise ValueError(f"{path.name} is no file")
    return path.read_bytes()


def _words(error: BaseException) -> str:
    """What went wrong, for people."""
    match error:
        case RecursionError():
            return "it is nested too deeply"
        case MemoryError():
            return "it needs more memory than there is"
        case KeyError():
            return f"there is no {error}"
        case _:
            return str(error).split("\n")[0] or type(error).__name__


def _read_json(written: bytes) -> dict[str, Any]:
    """Raises ValueError for what is no JSON object, where a key is repeated and where text is no Unicode."""
    value = json.loads(written, object_pairs_hook=_without_repeats)
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    canonical(value)
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found

"""Whether a release is what its manifest and its certificate say, from the files alone. Touches the folder it is
given, reading only: no database, no running instance."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

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
from app.export.writing import COLUMNS, MANIFEST_HASH, parquet_rows, release_hash, rows_of, sha256_of
from app.guarantee.certificate import LOT_FILE
from app.guarantee.lot import Frozen, canonical, hash_without, lot_bytes
from app.guarantee.recheck import differences, problems
from app.rows.codeocean import SCHEMA_VERSION, Row, row_hash

AUDITED = "audited"


class Verified(NamedTuple):
    """What was found. `manifest` and `certificate` are None where they are missing or cannot be read."""

    problems: list[str]
    manifest: Mapping[str, Any] | None = None
    certificate: Mapping[str, Any] | None = None


class Listed(BaseModel):
    """A file in the manifest."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    format: str
    split: str | None
    rows: int
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What is checked of a manifest; the rest stands under its own hash."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: str
    schema_version: int
    basis: str
    rows: int
    splits: dict[str, int]
    files: list[Listed]
    sha256: str
    self_sha256: str


def verify(folder: Path) -> Verified:
    """Check everything that the folder holds against everything else; each problem is a sentence."""
    try:
        raw = _read_json((folder / MANIFEST).read_bytes())
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        wrong = [f"{MANIFEST}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        return Verified(wrong)
    except (OSError, ValueError) as error:
        return Verified([f"{MANIFEST} cannot be read: {error}"])
    found = list(_of_the_manifest(raw, manifest))
    broken = dict(_of_listed_files(folder, manifest))
    found += broken.values()
    found += _of_other_files(folder, manifest)
    certificate = None
    if all((folder / file_name(CODEOCEAN, split)).is_file() for split in manifest.splits):
        of_rows = list(_of_rows(folder, manifest))
        found += of_rows
        if not of_rows:
            found += _of_derived_files(folder, manifest, broken)
            certificate, of_the_audit = _of_the_audit(folder, manifest)
            found += of_the_audit
    return Verified(found, raw, certificate)


# --- the manifest and its files ---------------------------------------------------------------------------


def _of_the_manifest(raw: Mapping[str, Any], manifest: Manifest) -> Iterator[str]:
    if hash_without(raw, MANIFEST_HASH) != manifest.self_sha256:
        yield f"{MANIFEST} differs from its own {MANIFEST_HASH}"
    if manifest.schema_version != SCHEMA_VERSION:
        yield f"{MANIFEST}: schema_version is {manifest.schema_version}, this version knows {SCHEMA_VERSION}"
    if sum(manifest.splits.values()) != manifest.rows:
        yield f"{MANIFEST}: rows is {manifest.rows}, and the splits have {sum(manifest.splits.values())}"
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


def _of_listed_files(folder: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """(name, what is wrong) of each file that is not the one that was listed."""
    for file in manifest.files:
        path = folder / file.name
        if Path(file.name).name != file.name:
            yield file.name, f"{file.name!r} is listed, which is no name of a file in the folder"
        elif not path.is_file():
            yield file.name, f"{file.name} is missing"
        elif path.stat().st_size != file.bytes:
            yield file.name, f"{file.name} has {path.stat().st_size} bytes, not {file.bytes}"
        elif sha256_of(path) != file.sha256:
            yield file.name, f"{file.name} differs from its SHA-256"


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
                wrong = _of_a_row(written, ids)
                if wrong:
                    yield f"{file_name(CODEOCEAN, split)} line {number}: {wrong}"
        if number != awaited:
            yield f"{file_name(CODEOCEAN, split)} has {number} rows, the split {awaited}"


def _of_a_row(written: bytes, ids: set[str]) -> str | None:
    """What is wrong with it; `ids` are those of the rows before, and get its own."""
    try:
        row = _read_json(written)
    except ValueError as error:
        return f"it cannot be read: {error}"
    row_id, missing = row.get("id"), [name for name in COLUMNS if name not in row]
    if missing or not isinstance(row_id, str):
        return f"it is no codeocean row: {', '.join(missing) or 'id'}"
    if row["hash"] != row_hash(row):
        return f"row {row_id} differs from its hash"
    if row_id in ids:
        return f"row {row_id} is in the release twice"
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
            if path.is_file() and path.name not in broken and not _is_made_from(path, format_, source):
                yield f"{path.name} does not follow from {source.name}"


def _is_made_from(path: Path, format_: str, source: Path) -> bool:
    try:
        return _has_the_rows(path, format_, source)
    except (AttributeError, KeyError, TypeError, ValueError):  # a row, or the file, has not the shape of one
        return False


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
        certificate = _read_json((folder / CERTIFICATE).read_bytes())
        lot = [_frozen(row) for row in (folder / LOT_FILE).read_bytes().splitlines()]
    except (OSError, ValueError, TypeError) as error:
        return None, [f"the certificate or the lot cannot be read: {error}"]
    wrong = [f"{CERTIFICATE}: {one}" for one in problems(certificate, lot, _released(folder, manifest))]
    if (folder / LOT_FILE).read_bytes() != lot_bytes(lot):
        wrong.append(f"{LOT_FILE} is not written as lots are: a line for each row, by id")
    quoted = (manifest.model_extra or {}).get("certificate")
    if isinstance(quoted, dict):
        same = {name: certificate[name] for name in quoted if name in certificate}
        wrong += [f"{MANIFEST}: certificate.{one}" for one in differences(quoted, same)]
    return certificate, wrong


def _frozen(written: bytes) -> Frozen:
    row = _read_json(written)
    if not all(isinstance(value, str) for value in row.values()):
        raise ValueError("a row of the lot is not text")
    return Frozen(**row)


def _released(folder: Path, manifest: Manifest) -> Iterator[Row]:
    for split in manifest.splits:
        yield from rows_of(folder / file_name(CODEOCEAN, split))


# --- JSON -------------------------------------------------------------------------------------------------


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

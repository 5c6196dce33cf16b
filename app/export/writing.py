"""Writes and reads the files of a release. Touches files below the folder it is given."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from app.export.formats import CERTIFICATE, CODEOCEAN, DERIVED, PARQUET, file_name, line
from app.guarantee.certificate import LOT_FILE
from app.guarantee.lot import Frozen, hash_without, lot_bytes
from app.rows.codeocean import Row

MANIFEST_HASH = "self_sha256"
_PARQUET_ROWS = 1000  # rows of a row group
_STRUCT = pa.struct(
    [(name, pa.string()) for name in ("repo", "path", "sha", "url", "license", "snippet_hash")]
)
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("schema_version", pa.int64()),
        *((name, pa.string()) for name in ("task", "task_name", "instruction", "information", "solution")),
        ("language", pa.string()),
        ("target_language", pa.string()),
        ("source", _STRUCT),
        *((name, pa.string()) for name in ("generator", "discriminator", "decision")),
        ("revision", pa.int64()),
        ("served_as_exemplar", pa.bool_()),
        ("hash", pa.string()),
    ]
)
COLUMNS: list[str] = _SCHEMA.names


class Written(NamedTuple):
    """A file as the manifest lists it."""

    name: str
    format: str
    split: str | None
    rows: int
    bytes: int
    sha256: str


class CodeoceanWriter:
    """Writes rows to the codeocean file of their split as they come; memory stays flat."""

    def __init__(self, folder: Path, splits: list[str]) -> None:
        self._stack = ExitStack()
        self._files: dict[str, BinaryIO] = {
            split: self._stack.enter_context((folder / file_name(CODEOCEAN, split)).open("wb"))
            for split in splits
        }
        self.rows = dict.fromkeys(splits, 0)

    def write(self, split: str, row: Row) -> None:
        self._files[split].write(line(row))
        self.rows[split] += 1

    def close(self) -> None:
        self._stack.close()


def rows_of(path: Path) -> Iterator[Row]:
    """The rows of a codeocean file."""
    with path.open("rb") as file:
        for written in file:
            yield json.loads(written)


def derive(folder: Path, format_: str, split: str) -> Path:
    """Make the file of another format from the codeocean file of `split`; the same rows give the same bytes."""
    path = folder / file_name(format_, split)
    part = path.with_name(f".{path.name}.part")
    source = rows_of(folder / file_name(CODEOCEAN, split))
    if format_ == PARQUET:
        _write_parquet(part, source)
    else:
        shaped = DERIVED[format_]
        with part.open("wb") as file:
            file.writelines(line(shaped(row)) for row in source)
    part.replace(path)
    return path


def described(path: Path, format_: str, split: str | None, rows: int) -> Written:
    return Written(path.name, format_, split, rows, path.stat().st_size, sha256_of(path))


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def release_hash(folder: Path, splits: list[str]) -> str:
    """SHA-256 over a line `split hash` for each row, in order: recomputable from the codeocean files alone."""
    found = hashlib.sha256()
    for split in splits:
        for row in rows_of(folder / file_name(CODEOCEAN, split)):
            found.update(f"{split} {row['hash']}\n".encode())
    return found.hexdigest()


def parquet_rows(path: Path) -> Iterator[Row]:
    """The rows of a Parquet file, each with all of `COLUMNS` where a release wrote it."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_PARQUET_ROWS):
            yield from batch.to_pylist()


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with the hash of its own canonical JSON, so that a change of any field shows."""
    return {**manifest, MANIFEST_HASH: hash_without(manifest, MANIFEST_HASH)}


def write_audit(folder: Path, lot: Sequence[Frozen], certificate: Mapping[str, Any]) -> list[Written]:
    """The frozen lot and the certificate of an audited release."""
    (folder / LOT_FILE).write_bytes(lot_bytes(lot))
    write_json(folder / CERTIFICATE, certificate)
    return [
        described(folder / LOT_FILE, "lot", None, len(lot)),
        described(folder / CERTIFICATE, "certificate", None, 0),
    ]


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def _write_parquet(path: Path, rows: Iterator[Row]) -> None:
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        group: list[Row] = []
        for row in rows:
            group.append(row)
            if len(group) == _PARQUET_ROWS:
                writer.write_table(pa.Table.from_pylist(group, _SCHEMA))
                group.clear()
        if group:
            writer.write_table(pa.Table.from_pylist(group, _SCHEMA))

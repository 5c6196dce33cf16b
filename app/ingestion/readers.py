"""Chooses the reader for a source. Touches files, only to read."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from app.code.languages import language_of_path
from app.errors import InvalidInput
from app.ingestion.archives import is_zip
from app.ingestion.checkout import read_checkout
from app.ingestion.compression import head_of
from app.ingestion.jsonl import read_jsonl
from app.ingestion.parquet import read_parquet
from app.ingestion.rows import Refusal, Row


class Format(StrEnum):
    CODESEARCHNET = "codesearchnet"
    PARQUET = "parquet"
    CHECKOUT = "checkout"


AUTO = "auto"


def asked_format(asked: str) -> Format | None:
    """The format that was asked for; None is "find out". Raises InvalidInput for an unknown one."""
    if asked not in (AUTO, *Format):
        raise InvalidInput(f"unknown format “{asked}”: one of {AUTO}, {', '.join(Format)}", "format")
    return None if asked == AUTO else Format(asked)


def format_of(path: Path, name: str, asked: str = AUTO) -> Format:
    """The format of a source: the one that was asked for where it can be, or the one its first bytes show.

    Raises InvalidInput for an unknown format, a path that is not there, and a folder where a file is meant.
    """
    wanted = asked_format(asked)
    if not path.exists():
        raise InvalidInput(f"{name}: no such file or folder", "file")
    if path.is_dir():
        if wanted in (None, Format.CHECKOUT):
            return Format.CHECKOUT
        raise InvalidInput(f"{name} is a folder: give its files, or the format checkout", "file")
    if not path.is_file():
        raise InvalidInput(f"{name} is neither a file nor a folder", "file")
    return wanted or _shown_by(path, name)


def read_source(path: Path, name: str, format_: Format, license_: str | None) -> Iterator[Row | Refusal]:
    """The rows and refusals of a source, always in the same order. `name` is what people call the file."""
    readers = {
        Format.CODESEARCHNET: read_jsonl,
        Format.PARQUET: read_parquet,
        Format.CHECKOUT: read_checkout,
    }
    return readers[format_](path, name, license_)


def _shown_by(path: Path, name: str) -> Format:
    head = head_of(path, 512)
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    if is_zip(path) or head[257:262] == b"ustar" or language_of_path(name):
        return Format.CHECKOUT
    return Format.CODESEARCHNET

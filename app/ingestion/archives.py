"""Reads members of zip and tar archives without extracting them. Touches files, only to read."""

import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from app.code.languages import language_of_path
from app.ingestion.compression import opened
from app.ingestion.rows import Refusal, refusal

BROKEN = (  # whatever the standard library raises over a damaged or an encrypted archive
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
)
_LONGEST_READ = 16 * 1024 * 1024  # bytes at once, whatever a header of a tar file claims


class Member(NamedTuple):
    path: str
    size: int  # bytes, unpacked
    read: Callable[[], bytes]


def is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def members_of_zip(path: Path) -> Iterator[Member | Refusal]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            if entry.flag_bits & 1 and language_of_path(entry.filename):
                yield refusal("broken_archive", entry.filename, None, "", "encrypted")
                continue
            yield Member(entry.filename, entry.file_size, lambda entry=entry: _zip_member(archive, entry))


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as file:
        return file.read(entry.file_size)


def members_of_tar(path: Path) -> Iterator[Member | Refusal]:
    with opened(path) as plain, tarfile.open(fileobj=_Bounded(plain), mode="r:") as archive:
        for entry in archive:
            if entry.isfile():
                yield Member(entry.name, entry.size, lambda entry=entry: _tar_member(archive, entry))
            # The list would keep the headers of the whole archive.
            archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue] - missing in typeshed


def _tar_member(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(entry)
    return file.read() if file else b""


class _Bounded(io.RawIOBase):
    """A file that refuses to be read in one piece larger than any honest header or source file."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LONGEST_READ:
            raise tarfile.ReadError(f"a header claims {size:,} bytes")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

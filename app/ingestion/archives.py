"""Reads members of zip and tar archives without extracting them. Touches files, only to read."""

import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

from app.code.languages import language_of_path
from app.ingestion.compression import opened
from app.ingestion.rows import ODD, Refusal, printable, refusal

BROKEN = (  # whatever the standard library raises over a damaged or an encrypted archive
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    MemoryError,  # of a member whose compression asks for gigabytes
    RuntimeError,  # a password is wanted; headers follow each other too deeply; not implemented
    *ODD,
)
MOST_ENTRIES = 250_000  # files, folders, links and whatever else has a header
_MOST_DIRECTORY = (
    32 * 1024**2
)  # bytes of the list at the end of a zip archive: all of it is in memory at once
_LONGEST_READ = 16 * 1024 * 1024  # bytes at once, whatever a header of a tar file claims
_END = struct.Struct(
    "<4s4H2LH"
)  # of a zip archive: mark, disks, entries here and in all, directory's size ...
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")


class TooManyEntries(Exception):
    """The archive has more entries than a repository would: how many, as half a sentence."""


class Member(NamedTuple):
    path: str
    size: int  # bytes, unpacked
    read: Callable[[], bytes]


def is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def members_of_zip(path: Path) -> Iterator[Member | Refusal]:
    """Raises TooManyEntries, at best before they are listed in memory."""
    _check_directory(path)
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        _check_count(len(entries))
        for entry in entries:
            if entry.is_dir():
                continue
            if entry.flag_bits & 1 and language_of_path(entry.filename):
                yield refusal("broken_archive", entry.filename, None, "", "encrypted")
                continue
            yield Member(entry.filename, entry.file_size, lambda entry=entry: _zip_member(archive, entry))


def _check_directory(path: Path) -> None:
    """By what the end of a zip archive says of its list: mere claims, but what is listed has to have room in it."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        start = file.seek(max(0, size - _END.size - 2**16))
        tail = file.read()
        place = tail.rfind(b"PK\x05\x06")
        if place < 0 or len(tail) - place < _END.size:
            return  # broken, as reading it will say
        *_, entries, listed, _, _ = _END.unpack_from(tail, place)
        locator = place - _LOCATOR_64.size
        if locator >= 0 and tail.startswith(b"PK\x06\x07", locator):
            _, _, there, _ = _LOCATOR_64.unpack_from(tail, locator)
            found: list[tuple[int, int]] = []
            for end in {
                start + locator - _END_64.size,
                min(there, size),
            }:  # where the library looks; where it says
                file.seek(max(0, end))
                record = file.read(_END_64.size)
                if len(record) == _END_64.size and record.startswith(b"PK\x06\x06"):
                    *_, more, larger, _ = _END_64.unpack(record)
                    found.append((more, larger))
            if found:
                entries, listed = (max(of_each) for of_each in zip(*found, strict=True))
    _check_count(entries)
    if listed > _MOST_DIRECTORY:
        raise TooManyEntries(f"the list of its entries has {listed:,} bytes")


def _check_count(entries: int) -> None:
    if entries > MOST_ENTRIES:
        raise TooManyEntries(f"reading stopped at {entries:,} files, folders and links")


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as file:
        return file.read(entry.file_size)


def members_of_tar(path: Path) -> Iterator[Member | Refusal]:
    """Raises TooManyEntries and TooMuchUnpacked."""
    with opened(path) as plain, tarfile.open(fileobj=_Bounded(plain), mode="r:", tarinfo=_Entry) as archive:
        ended = 0
        for count, entry in enumerate(archive, 1):
            _check_count(count)
            if archive.offset <= ended:  # pyright: ignore[reportAttributeAccessIssue] - missing in typeshed
                raise tarfile.ReadError(f"the entry {printable(entry.name)[:100]} leads back to itself")
            ended = archive.offset  # pyright: ignore[reportAttributeAccessIssue]
            if entry.isfile():
                yield Member(entry.name, entry.size, lambda entry=entry: _tar_member(archive, entry))
            # The list would keep the headers of the whole archive.
            archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue] - missing in typeshed


class _Entry(tarfile.TarInfo):
    """A header whose size is none is told, not read: a negative one would lead back (CVE-2025-8194)."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.size < 0:
            raise tarfile.ReadError(f"a header claims {found.size:,} bytes")
        return found


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

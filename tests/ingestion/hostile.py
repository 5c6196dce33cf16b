"""Small files that were made to stop whoever reads them: packed, nested, named and encoded as nobody does by accident."""

import gzip
import io
import os
import struct
import tarfile
import zipfile
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from tests.ingestion.rows import CODE

GOOD = CODE.encode()
NEGATIVE = b"\xff" * 10 + b"\xfc\x00"  # -1,024 in base 256
_END = b"\0" * 1024
_MEMBER = ("good.py", GOOD)


def zipped(*files: tuple[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return written.getvalue()


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, raw_size: bytes = b"") -> bytes:
    """Of a tar archive; with `raw_size` the twelve bytes of the size are these."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.type = size, kind
    made = bytearray(entry.tobuf(tarfile.GNU_FORMAT)[:512])
    if raw_size:
        made[124:136] = raw_size
        made[148:156] = b" " * 8
        made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def padded(content: bytes) -> bytes:
    return content.ljust(-(-len(content) // 512) * 512, b"\0")


def member(name: str = "good.py", content: bytes = GOOD, kind: bytes = tarfile.REGTYPE) -> bytes:
    return header(name, len(content), kind) + padded(content)


def pax(keyword: str, value: str) -> bytes:
    """An extended header that holds for the next member."""
    said = f" {keyword}={value}\n".encode()
    length = len(said) + 1
    while len(str(length)) + len(said) != length:
        length = len(str(length)) + len(said)
    content = str(length).encode() + said
    return header("pax", len(content), tarfile.XHDTYPE) + padded(content)


def tar(*parts: bytes) -> bytes:
    return b"".join(parts) + _END


def a_tar_whose_size_is_negative() -> bytes:
    return tar(member(), header("back.py", raw_size=NEGATIVE), member())


def a_tar_of_chained_names(count: int = 600) -> bytes:
    return tar(member(), (header("././@LongLink", 5, b"L") + padded(b"abcd\0")) * count, member())


def a_tar_of_chained_headers(count: int = 600) -> bytes:
    return tar(member(), pax("comment", "x") * count, member())


def a_tar_with(keyword: str, value: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    return tar(member(), pax(keyword, value), member("odd.py", kind=kind), member("last.py"))


def a_tar_of_folders(count: int) -> bytes:
    return gzip.compress(tar(header("d", kind=tarfile.DIRTYPE) * count, member()), 1)


def a_zip_with_the_coding(name: str) -> bytes:
    return zipped(_MEMBER, ("odd.py", f"# coding: {name}\n".encode() + GOOD), ("last.py", GOOD))


def a_zip_of_entries(count: int, claimed: int | None = None) -> bytes:
    """Central directory entries without anything behind them."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, *[0] * 7, 1, *[0] * 6) + b"a"
    listed = entry * count
    claimed = count if claimed is None else claimed
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, claimed, claimed, len(listed), 4)
    large += struct.pack("<4sLQL", b"PK\6\7", 0, 4 + len(listed), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return b"PK\3\4" + listed + large + end


def a_zip_with_a_name_that_is_no_utf8() -> bytes:
    return zipped(_MEMBER, ("café.py", GOOD)).replace("café".encode(), b"caf\xe9\xe9")


def a_zip_that_asks_for_gigabytes() -> bytes:
    """LZMA with a dictionary of 4 GB."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("odd.py", GOOD * 50)
    made = bytearray(written.getvalue())
    place = made.find(b"odd.py") + len("odd.py") + 4
    made[place + 1 : place + 5] = b"\xff" * 4
    return bytes(made)


def a_zip_over_which_a_parser_hangs(size: int = 80_000) -> bytes:
    """Java's generics nested without end: tree-sitter takes the square."""
    return zipped(_MEMBER, ("odd.java", b"a<b<" * (size // 4)), ("last.py", GOOD))


def packed(content: bytes) -> bytes:
    return gzip.compress(content, 9)


def parquet(codes: Sequence[str]) -> bytes:
    rows = pa.table(
        {"code": codes, "docstring": ["Add two numbers."] * len(codes), "language": ["python"] * len(codes)}
    )
    written = io.BytesIO()
    pq.write_table(rows, written, compression="zstd")
    return written.getvalue()


def a_parquet_dictionary(size: int = 20_000_000, rows: int = 500) -> bytes:
    """One long text, and many rows that point to it."""
    return parquet(["x" * size] * rows)


def nested(levels: int) -> bytes:
    return b'{"instruction": ' + b"[" * levels + b"]" * levels + b', "output": ""}'


def not_utf8(folder: bytes) -> str:
    """A path below `folder` whose name is no text."""
    return os.fsdecode(folder + b"/caf\xe9.jsonl")

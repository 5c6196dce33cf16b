"""Reads .jsonl and .jsonl.gz files, a line at a time. Touches files, only to read."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from app.ingestion.codesearchnet import outcome_of_line
from app.ingestion.compression import BROKEN_GZIP, TooMuchUnpacked, opened
from app.ingestion.rows import Refusal, Row, refusal

LONGEST_LINE = 10 * 1024 * 1024  # bytes; a row of code is a few thousand
MOST_EMPTY_LINES = 100_000  # one after the other
_HOPELESS = 1024**3  # bytes of one line, after which reading stops: a bomb, not a row
_CHUNK = 1024 * 1024
UTF8_MARK = b"\xef\xbb\xbf"
UTF16_STARTS = (b"\xff\xfe", b"\xfe\xff", b"{\x00", b"\x00{", b"[\x00", b"\x00[")

_Outcome = TypeVar("_Outcome")


class _Line(NamedTuple):
    text: bytes  # without its end; of a line that is too long only the start
    length: int  # bytes


def read_jsonl(path: Path, file: str, license_: str | None) -> Iterator[Row | Refusal]:
    """The rows of a file of CodeSearchNet in its order."""
    return read_lines(path, file, lambda raw, line: outcome_of_line(raw, file, line, license_))


def read_lines(
    path: Path, file: str, outcome_of: Callable[[bytes, int], _Outcome]
) -> Iterator[_Outcome | Refusal]:
    """What becomes of each line that is not empty, with its number from 1; memory flat.

    `file` is the file's name for people. Damage is a refusal with its line; what stands before it, or after it on lines of their own, is kept.
    """
    return lines_in(lambda: opened(path), file, outcome_of)


def lines_in(
    open_: Callable[[], io.BufferedIOBase], file: str, outcome_of: Callable[[bytes, int], _Outcome]
) -> Iterator[_Outcome | Refusal]:
    """Like `read_lines`, of any stream."""
    number = empty = 0
    found_row = False
    try:
        with open_() as stream:
            for number, line in enumerate(_lines(stream), 1):
                if number == 1 and line.text.startswith(UTF16_STARTS):
                    why = "the file is in UTF-16; save it as UTF-8"
                    yield refusal("bad_encoding", file, 1, line.text[:300].decode("utf-16", "replace"), why)
                    return
                is_empty = not line.text.strip()
                found_row = found_row or not is_empty
                empty = empty + 1 if is_empty else 0
                if empty > MOST_EMPTY_LINES:
                    why = f"{empty:,} empty lines up to line {number:,}; reading stopped here"
                    yield refusal("too_many_empty_lines", file, number, "", why)
                    return
                if line.length > LONGEST_LINE:
                    why = f"{line.length:,} bytes"
                    why += "; reading stopped here" if line.length >= _HOPELESS else ""
                    yield refusal("line_too_long", file, number, line.text.decode("utf-8", "replace"), why)
                elif not is_empty:
                    text = line.text.removeprefix(UTF8_MARK) if number == 1 else line.text
                    yield outcome_of(text, number)
    except BROKEN_GZIP as error:
        yield refusal("broken_gzip", file, number + 1, "", f"after line {number}: {error}")
        return
    except TooMuchUnpacked as error:
        yield refusal("too_much_unpacked", file, number + 1, "", f"after line {number}: {error}")
        return
    if not found_row:
        yield refusal("empty_file", file, None, "", f"{number} lines, all empty" if number else "no bytes")


def _lines(stream: io.BufferedIOBase) -> Iterator[_Line]:
    while head := stream.readline(LONGEST_LINE + 1):
        length = len(head)
        if length > LONGEST_LINE:
            head = head[:1200]
            length += _rest_of_line(stream)
        yield _Line(head.rstrip(b"\r\n"), length)
        if length >= _HOPELESS:
            return


def _rest_of_line(stream: io.BufferedIOBase) -> int:
    """Read to the end of the line in small pieces. How many bytes that was."""
    length = 0
    while length < _HOPELESS and (piece := stream.readline(_CHUNK)):
        length += len(piece)
        if piece.endswith(b"\n"):
            break
    return length

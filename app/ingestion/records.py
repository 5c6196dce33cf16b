"""Reads the records of a finished set: lines of JSON, or one JSON array; gzip or not. Touches files, only to read."""

import codecs
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from app.ingestion.compression import BROKEN_GZIP, opened
from app.ingestion.decoding import as_object, decoded
from app.ingestion.jsonl import LONGEST_LINE, UTF8_MARK, UTF16_STARTS, read_lines
from app.ingestion.rows import Refusal, refusal

_CHUNK = 1024 * 1024  # bytes
_JSON_SPACE = " \t\r\n"
_DECODER = json.JSONDecoder(strict=False)  # a control character inside a text is that record's matter


class Record(NamedTuple):
    number: int  # from 1: of the line, or in an array of the record
    value: Mapping[str, Any]


def read_records(path: Path, file: str) -> Iterator[Record | Refusal]:
    """The records of a file in its order, memory flat. `file` is its name for people."""
    if _is_array(path):
        yield from _read_array(path, file)
        return
    yield from read_lines(path, file, lambda raw, line: _record(decoded(raw, file, line), file, line))


def how_many(path: Path, file: str) -> int:
    """How many outcomes `read_records` will give, refusals included."""
    if _is_array(path):
        return sum(1 for _ in _read_array(path, file))
    return sum(1 for _ in read_lines(path, file, lambda raw, line: line))


def _record(value: Any | Refusal, file: str, number: int) -> Record | Refusal:
    if isinstance(value, Refusal):
        return value
    fields = as_object(value, file, number)
    return fields if isinstance(fields, Refusal) else Record(number, fields)


def _is_array(path: Path) -> bool:
    try:
        with opened(path) as stream:
            head = stream.read(4096)
    except BROKEN_GZIP:  # the reader of lines will say where
        return False
    if head.startswith(UTF16_STARTS):
        return False
    return head.removeprefix(UTF8_MARK).lstrip().startswith(b"[")


# --- one JSON array ---------------------------------------------------------------------------------------


class _Broken(Exception):
    """The array cannot be read further."""


def _read_array(path: Path, file: str) -> Iterator[Record | Refusal]:
    number = 0
    try:
        with opened(path) as stream:
            for number, value in enumerate(_elements(_Text(stream)), 1):
                yield _record(value, file, number)
    except BROKEN_GZIP as error:
        yield refusal("broken_gzip", file, number + 1, "", f"after record {number}: {error}")
    except _Broken as broken:
        yield refusal("broken_array", file, number + 1, "", f"after record {number}: {broken}")
    else:
        if not number:
            yield refusal("empty_file", file, None, "", "an array without records")


class _Text:
    """The text of a stream from where reading stands. Bytes that are no UTF-8 become halves of surrogate pairs."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._lines_before = 1
        self.buffer, self.at, self.ended = "", 0, False

    def more(self) -> None:
        """Forget what is read and take in as much again as is left, so that a long record costs no squares."""
        self._lines_before += self.buffer.count("\n", 0, self.at)
        wanted = max(_CHUNK, len(self.buffer) - self.at)
        read = self._stream.read(wanted)
        self.ended = len(read) < wanted
        self.buffer = self.buffer[self.at :] + self._decoder.decode(read, final=self.ended)
        self.at = 0

    def next_sign(self) -> str:
        """The next character that is no space, "" at the end; reading stands on it."""
        while True:
            while self.at < len(self.buffer):
                if self.buffer[self.at] not in _JSON_SPACE:
                    return self.buffer[self.at]
                self.at += 1
            if self.ended:
                return ""
            self.more()

    def value(self) -> Any:
        """The JSON value that starts here. Raises _Broken."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self.buffer, self.at)
            except json.JSONDecodeError as error:
                if self.ended:
                    raise self.broken(error.msg.removesuffix(" at"), error.pos) from error
            except (ValueError, RecursionError) as error:
                raise self.broken(str(error), self.at) from error
            else:
                if self.ended or end < len(self.buffer):  # a number at the very end may go on
                    self.at = end
                    return value
            if len(self.buffer) - self.at > LONGEST_LINE:
                raise self.broken(f"no record ends within {LONGEST_LINE:,} characters", self.at)
            self.more()

    def broken(self, why: str, place: int) -> _Broken:
        line = self._lines_before + self.buffer.count("\n", 0, place)
        return _Broken(f"{why}, on line {line}")


def _elements(text: _Text) -> Iterator[Any]:
    text.next_sign()
    text.at += 1  # the bracket
    if text.next_sign() != "]":
        while True:
            yield text.value()
            if text.next_sign() != ",":
                break
            text.at += 1
            text.next_sign()
    if text.next_sign() != "]":
        raise text.broken("a comma or the end of the array is missing", text.at)
    text.at += 1
    if text.next_sign():
        raise text.broken("there is more after the end of the array", text.at)

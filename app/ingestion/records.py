"""Reads the records of a finished set: lines of JSON, or one JSON array; gzip or not. Touches files, only to read."""

import codecs
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from app.ingestion.compression import BROKEN_GZIP, TooMuchUnpacked, head_of, opened
from app.ingestion.decoding import as_object, decoded
from app.ingestion.jsonl import LONGEST_LINE, UTF8_MARK, UTF16_STARTS, lines_in
from app.ingestion.rows import Refusal, refusal

_CHUNK = 1024 * 1024  # bytes
_HEAD = 1024 * 1024  # bytes, by which a format is recognised
_COUNTED = 10_000  # outcomes from sign to sign
_NO_SPACE = re.compile(r"[^ \t\r\n]")


def _whole_number(digits: str) -> int | str:
    """Longer ones than Python reads are that record's matter, too."""
    return int(digits) if len(digits) <= sys.int_info.default_max_str_digits else digits


# A control character inside a text is that record's matter.
_DECODER = json.JSONDecoder(strict=False, parse_int=_whole_number)


_Open = Callable[[], io.BufferedIOBase]


class Record(NamedTuple):
    number: int  # from 1: of the line, or in an array of the record
    value: Mapping[str, Any]


class Head(NamedTuple):
    """What stands in the first megabyte of a file, unpacked."""

    outcomes: list[Record | Refusal]  # the first few; never more than was asked for
    is_whole: bool  # it is all of the file


def read_records(path: Path, file: str) -> Iterator[Record | Refusal]:
    """The records of a file in its order, memory flat. `file` is its name for people."""
    yield from _records(lambda: opened(path), file)


def first_records(path: Path, file: str, most: int) -> Head:
    """At most `most` outcomes of the first megabyte, whatever the file unpacks to; the last may be cut off."""
    head = head_of(path, _HEAD)
    full = b"\n".join(filter(None, head.split(b"\n")))  # a million empty lines cost nobody's time
    found = list(islice(_records(lambda: io.BytesIO(full), file), most))
    return Head(found, is_whole=len(head) < _HEAD)


def count_records(path: Path, file: str) -> Iterator[int]:
    """How many outcomes `read_records` will give, refusals included: counts on the way, the last is the whole."""
    if _is_array(lambda: opened(path)):
        outcomes: Iterator[object] = _read_array(lambda: opened(path), file)
    else:
        outcomes = lines_in(lambda: opened(path), file, lambda raw, line: line)
    number = 0
    for number, _ in enumerate(outcomes, 1):
        if number % _COUNTED == 0:
            yield number
    yield number


def _records(open_: _Open, file: str) -> Iterator[Record | Refusal]:
    if _is_array(open_):
        yield from _read_array(open_, file)
    else:
        yield from lines_in(open_, file, lambda raw, line: _record(decoded(raw, file, line), file, line))


def _record(value: Any | Refusal, file: str, number: int) -> Record | Refusal:
    if isinstance(value, Refusal):
        return value
    fields = as_object(value, file, number)
    return fields if isinstance(fields, Refusal) else Record(number, fields)


def _is_array(open_: _Open) -> bool:
    try:
        with open_() as stream:
            head = stream.read(4096)
    except BROKEN_GZIP:  # the reader of lines will say where
        return False
    if head.startswith(UTF16_STARTS):
        return False
    return head.removeprefix(UTF8_MARK).lstrip().startswith(b"[")


# --- one JSON array ---------------------------------------------------------------------------------------


class _Broken(Exception):
    """The array cannot be read further."""


def _read_array(open_: _Open, file: str) -> Iterator[Record | Refusal]:
    number = 0
    try:
        with open_() as stream:
            for number, value in enumerate(_elements(_Text(stream)), 1):
                yield _record(value, file, number)
    except BROKEN_GZIP as error:
        yield refusal("broken_gzip", file, number + 1, "", f"after record {number}: {error}")
    except TooMuchUnpacked as error:
        yield refusal("too_much_unpacked", file, number + 1, "", f"after record {number}: {error}")
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
        """The next character that is no space, "" at the end; reading stands on it. Raises _Broken."""
        blanks = 0
        while True:
            found = _NO_SPACE.search(self.buffer, self.at)
            if found:
                self.at = found.start()
                return found.group()
            blanks += len(self.buffer) - self.at
            self.at = len(self.buffer)
            if self.ended:
                return ""
            if blanks > LONGEST_LINE:
                raise self.broken(f"more than {LONGEST_LINE:,} blanks in a row", self.at)
            self.more()

    def value(self) -> Any:
        """The JSON value that starts here. Raises _Broken."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self.buffer, self.at)
            except json.JSONDecodeError as error:
                if self.ended:
                    raise self.broken(error.msg.removesuffix(" at"), error.pos) from error
            except RecursionError as error:
                raise self.broken(f"a record is nested too deeply ({error})", self.at) from error
            except ValueError as error:
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

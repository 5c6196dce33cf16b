"""What a reader hands on: a row, or a refusal that says which rule, where and why. Pure."""

import re
from typing import NamedTuple

EXCERPT_LENGTH = 300
ODD = (ArithmeticError, LookupError, RecursionError, UnicodeError, ValueError)
"""What parsers raise, the standard library's among them, over content that nobody thought of."""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


class Code(NamedTuple):
    """One function with its comment and its origin, as read; "" is "not said"."""

    language: str
    name: str
    comment: str
    code: str
    repo: str
    path: str
    sha: str
    url: str
    license: str | None  # SPDX; None is unknown


class Row(NamedTuple):
    file: str
    line: int  # from 1; of a Parquet file the number of the row
    code: Code


class Refusal(NamedTuple):
    """A row, a file or a folder that is not taken, for people to look at."""

    rule: str
    file: str
    line: int | None
    excerpt: str
    why: str


def refusal(rule: str, file: str, line: int | None, excerpt: str, why: str) -> Refusal:
    """A refusal whose texts can be stored and shown, whatever they held."""
    return Refusal(
        rule, printable(file)[:500], line, printable(excerpt)[:EXCERPT_LENGTH], printable(why)[:500]
    )


def printable(text: str) -> str:
    """`text` with characters that cannot be stored, or that would mislead on a screen, replaced."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


READING_RULES: dict[str, str] = {
    "empty_file": "The file holds no rows.",
    "broken_line": "The line is not JSON.",
    "not_an_object": "The line is JSON, but not an object with named fields.",
    "line_too_long": "The line is longer than 10 MB.",
    "missing_field": "A field that every row needs is not there.",
    "wrong_type": "A field holds something else than text.",
    "unknown_language": "The language is none of the six.",
    "bad_encoding": "The text is not UTF-8 (or, in Python files, not what the file declares).",
    "nul_character": "The text holds a NUL character, which no source file does.",
    "hostile_name": "A path leaves its folder, an address is not a web address, or a name holds "
    "control characters or is very long.",
    "broken_gzip": "The compressed data breaks off or is damaged; rows before the place are kept.",
    "broken_parquet": "The Parquet file is damaged or not one; rows before the place are kept.",
    "broken_archive": "The archive, or a file in it, cannot be read: damaged, encrypted or not permitted.",
    "file_too_large": "A source file over 1 MB: hardly written by hand.",
    "too_many_files": "The archive holds more files or bytes than a repository would; the rest is not read.",
    "too_much_unpacked": "The compressed data unpacks to more than an honest file would; the rest is not read.",
    "too_many_empty_lines": "Empty lines follow each other without end; the rest is not read.",
    "unreadable": "Reading it failed in a way that no other rule names; what stands beside it is read.",
    "hanging_parser": "The parser of its language does not come to an end with this source file.",
    "reading_stopped": "Reading took too long or too much memory and was ended; rows before the place are kept.",
    "third_party_folder": "A folder of other people's packages, whose licence is not that of this source.",
    "test_folder": "A folder of tests; CodeSearchNet leaves tests out too.",
}
"""What the readers refuse, in words; `cleaning.CLEANING_RULES` has what is refused afterwards."""

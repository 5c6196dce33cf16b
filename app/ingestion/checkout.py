"""Reads the functions of a folder, an archive or one source file. Touches files, only to read.

Nothing is ever extracted to disk or run. Symbolic links are not followed. Files that are not source code of
the six languages are no rows and are passed over; what looks like source and is not taken is a refusal.
"""

import codecs
import io
import os
import re
import tokenize
from collections.abc import Iterator, Set
from itertools import chain
from pathlib import Path, PurePosixPath

from app.code.functions import Function, functions
from app.code.languages import language_of_path
from app.ingestion.archives import BROKEN, Member, TooManyEntries, is_zip, members_of_tar, members_of_zip
from app.ingestion.codesearchnet import hostile_name
from app.ingestion.compression import TooMuchUnpacked
from app.ingestion.confined import Reading, ReadingStopped
from app.ingestion.decoding import Refused, unreadable
from app.ingestion.origin import Origin, origin_of
from app.ingestion.rows import ODD, Code, Refusal, Row, refusal

LARGEST_FILE = 1024 * 1024  # bytes
MOST_FILES = 200_000
MOST_BYTES = 8 * 1024**3  # of all source files, unpacked
LONGEST_PARSE_S = 20.0  # of one file
MOST_HANGING = 3  # files whose parser does not come to an end
HANGS = "hanging_parser"
_SOON_PARSED = 20_000  # characters
_THIRD_PARTY = ("third_party_folder", "ingest it by itself, with its own licence")
_TESTS = ("test_folder", "ingest it by itself if you want its functions")
LEFT_OUT: dict[str, tuple[str, str]] = {  # name of a folder -> rule, what to do about it
    "bower_components": _THIRD_PARTY,
    "dist-packages": _THIRD_PARTY,
    "node_modules": _THIRD_PARTY,
    "site-packages": _THIRD_PARTY,
    "third_party": _THIRD_PARTY,
    "vendor": _THIRD_PARTY,
    "__tests__": _TESTS,
    "test": _TESTS,
    "tests": _TESTS,
}
_TEXT_ENCODINGS = re.compile(  # of Python's codecs those that people write files in; each takes linear time
    r"ascii|utf-8(-sig)?|iso8859-\d+|cp\d+|koi8-[rtu]|kz1048|mac-\w+|tis-620|hp-roman8|ptcp154"
    r"|big5(hkscs)?|gb2312|gbk|gb18030|hz|johab|euc_(jp|jis_2004|jisx0213|kr)|shift_jis(_2004|x0213)?|iso2022_\w+"
)
NO_SOURCE = {".git", ".hg", ".svn", "__pycache__", ".tox", ".venv", "venv"}


def read_checkout(path: Path, name: str, license_: str | None) -> Iterator[Row | Refusal]:
    """The functions of every file, in the order of the paths (of an archive: of its members)."""
    origin = origin_of(path, name)
    found_source = False
    hanging = 0
    try:
        for member in _admitted(_members(path, name), name):
            found_source = True
            for outcome in [member] if isinstance(member, Refusal) else _rows(member, origin, license_):
                yield outcome
                hanging += isinstance(outcome, Refusal) and outcome.rule == HANGS
            if hanging >= MOST_HANGING:
                why = f"the parser was stopped over {hanging} files"
                yield refusal("reading_stopped", name, None, "", why)
                return
    except TooManyEntries as error:
        yield refusal("too_many_files", name, None, "", str(error))
        return
    except TooMuchUnpacked as error:
        yield refusal("too_much_unpacked", name, None, "", str(error))
        return
    except BROKEN as error:
        yield refusal("broken_archive", name, None, "", _why_broken(error))
        return
    if not found_source:
        yield refusal("empty_file", name, None, "", "no source file of the six languages in it")


def _members(path: Path, name: str) -> Iterator[Member | Refusal]:
    if path.is_dir():
        return _members_of_folder(path)
    if is_zip(path):
        return members_of_zip(path)
    if language_of_path(name):
        return iter([Member(name, path.stat().st_size, path.read_bytes)])
    return members_of_tar(path)


def _members_of_folder(root: Path) -> Iterator[Member | Refusal]:
    for folder, subfolders, files in os.walk(root):
        here = Path(folder)
        for other in sorted(LEFT_OUT.keys() & set(subfolders)):
            yield _left_out((here / other).relative_to(root).as_posix())
        subfolders[:] = sorted(set(subfolders) - LEFT_OUT.keys() - NO_SOURCE)
        for file in sorted(files):
            path = here / file
            member = path.relative_to(root).as_posix()
            try:
                if language_of_path(file) and path.is_file() and not path.is_symlink():
                    yield Member(member, path.stat().st_size, path.read_bytes)
            except OSError as error:  # it was there a moment ago
                yield refusal("broken_archive", member, None, "", str(error))


def _left_out(folder: str) -> Refusal:
    rule, why = LEFT_OUT[PurePosixPath(folder).name]
    return refusal(rule, folder, None, "", why)


def _admitted(members: Iterator[Member | Refusal], name: str) -> Iterator[Member | Refusal]:
    """The members that are source code and within the limits; a refusal for each that is not taken."""
    others: set[str] = set()
    total = 0
    for count, member in enumerate(members, 1):
        if isinstance(member, Refusal):
            yield member
            continue
        if count > MOST_FILES:
            yield refusal("too_many_files", name, None, member.path, f"reading stopped at file {count:,}")
            return
        folder = _folder_among(member.path, LEFT_OUT.keys())
        if folder is not None:
            if folder not in others:
                others.add(folder)
                yield _left_out(folder)
        elif language_of_path(member.path) and _folder_among(member.path, NO_SOURCE) is None:
            bad = _too_bad(member)
            total += 0 if bad else member.size
            if total > MOST_BYTES:
                why = f"reading stopped at file {count:,}, {total:,} bytes of source code"
                yield refusal("too_many_files", name, None, member.path, why)
                return
            yield bad or member


def _folder_among(path: str, names: Set[str]) -> str | None:
    """The outermost folder of `path` with one of these names."""
    parts = PurePosixPath(path).parts[:-1]
    return next(("/".join(parts[: i + 1]) for i, part in enumerate(parts) if part in names), None)


def _too_bad(member: Member) -> Refusal | None:
    why = hostile_name("path", member.path)
    if why:
        return refusal("hostile_name", member.path, None, "", why)
    if member.size > LARGEST_FILE:
        return refusal("file_too_large", member.path, None, "", f"{member.size:,} bytes")
    return None


def _rows(member: Member, origin: Origin, license_: str | None) -> Iterator[Row | Refusal]:
    language = language_of_path(member.path) or ""
    try:
        source = _decoded(member.read(), language)
        if "\0" in source:
            yield refusal("nul_character", member.path, source[: source.index("\0")].count("\n") + 1, "", "")
            return
        for found in _functions(source, language):
            yield Row(member.path, found.start_line, _code(found, member.path, origin, language, license_))
    except UnicodeDecodeError as error:
        yield refusal("bad_encoding", member.path, None, "", str(error))
    except Refused as refused:
        yield refusal(refused.rule, member.path, None, "", refused.why)
    except SyntaxError as error:
        yield refusal("not_parseable", member.path, error.lineno, error.text or "", error.msg)
    except MemoryError:
        yield refusal(
            "unreadable", member.path, None, "", "reading it takes more memory than a file may have"
        )
    except BROKEN as error:
        if isinstance(error, ODD):
            yield unreadable(error, member.path, None)
        else:
            yield refusal("broken_archive", member.path, None, "", _why_broken(error))


def _functions(source: str, language: str) -> Iterator[Function]:
    """Raises SyntaxError, and Refused where a parser does not come to an end: some take the square of what is nested.

    A parser in C hears no alarm, so a larger file has a process of its own.
    """
    if len(source) <= _SOON_PARSED:
        yield from functions(source, language)
        return
    with Reading(lambda: _functions_or_error(source, language), still_s=LONGEST_PARSE_S) as reading:
        try:
            for found in chain.from_iterable(reading.steps()):
                if isinstance(found, SyntaxError):
                    raise found
                yield found
        except ReadingStopped as stopped:
            raise Refused(HANGS, f"its parser was stopped: {stopped}") from stopped


def _functions_or_error(source: str, language: str) -> Iterator[Function | SyntaxError]:
    try:
        yield from functions(source, language)
    except SyntaxError as error:
        yield SyntaxError(error.msg, (None, error.lineno, None, (error.text or "")[:1000]))


def _why_broken(error: BaseException) -> str:
    match error:
        case RecursionError():
            return "its headers follow each other without end"
        case MemoryError():
            return "a header asks for more memory than reading may have"
        case UnicodeError():
            return f"a name in it is not what it says: {error}"
        case ValueError() | ArithmeticError() | LookupError():
            return f"a header cannot be read: {error}"
        case _:
            return str(error) or "the data breaks off"


def _code(found: Function, path: str, origin: Origin, language: str, license_: str | None) -> Code:
    return Code(
        language=language,
        name=found.name,
        comment=found.comment,
        code=found.code,
        repo=origin.repo,
        path=path,
        sha=origin.sha,
        url=f"{origin.url}{path}#L{found.start_line}-L{found.end_line}" if origin.url else "",
        license=license_,
    )


def _decoded(content: bytes, language: str) -> str:
    """The text of a file. Raises UnicodeDecodeError, SyntaxError for an encoding Python does not know, or Refused."""
    encoding = "utf-8-sig"
    if language == "python":  # may declare another one in its first two lines (PEP 263)
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        if not _TEXT_ENCODINGS.fullmatch(codecs.lookup(encoding).name):
            raise Refused(
                "bad_encoding", f"it declares {encoding[:40]}, which is no encoding of a source file"
            )
    return content.decode(encoding)

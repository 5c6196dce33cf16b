"""A function's comment apart from its code: cut out of Python, and its prose without markup. Pure."""

import ast
import inspect
import re
import textwrap
from collections.abc import Sequence

from app.code.syntax import python_lines, python_tree

_WITH_DOCSTRING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def without_docstring(code: str, language: str) -> str:
    """`code` without the docstring of the function it holds; `pass` stands where nothing else is left.

    In the other languages the comment stands before the code and is not part of it, so these come back as
    they are, like Python that does not parse.
    """
    if language != "python":
        return code
    code = textwrap.dedent(code) if code[:1].isspace() else code
    try:
        body = python_tree(code).body
    except SyntaxError:
        return code
    if (
        not body
        or not isinstance(body[0], _WITH_DOCSTRING)
        or ast.get_docstring(body[0], clean=False) is None
    ):
        return code
    return _cut(code, body[0])


def _cut(code: str, function: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    docstring, *rest = function.body
    lines = python_lines(code)
    start = _offset(lines, docstring.lineno, docstring.col_offset)
    end = _offset(lines, docstring.end_lineno or docstring.lineno, docstring.end_col_offset or 0)
    if not rest:
        return code[:start] + "pass" + code[end:]
    line_start = code.rfind("\n", 0, start) + 1
    line_end = code.find("\n", end)
    stands_alone = not code[line_start:start].strip() and line_end >= 0 and not code[end:line_end].strip()
    if stands_alone:
        return code[:line_start] + code[line_end + 1 :].lstrip("\n")
    return code[:start] + code[_offset(lines, rest[0].lineno, rest[0].col_offset) :]


def _offset(lines: list[str], line: int, column: int) -> int:
    """The place in the text of a line from 1 and a column in UTF-8 bytes."""
    before = sum(len(text) for text in lines[: line - 1])
    return before + len(lines[line - 1].encode()[:column].decode())


_BLANK_BEGINNING = re.compile(r"\A(?:[^\S\n]*+\n)++")


def cleaned(docstring: str) -> str:
    """`docstring` without its indentation, as `inspect.cleandoc` has it, in linear time.

    That one takes blank lines at the beginning away one by one, each time moving all others.
    """
    return inspect.cleandoc(_BLANK_BEGINNING.sub("\n", docstring))


# What begins a part that is no prose: fields, sections, examples, tables of parameters.
_NO_PROSE = re.compile(
    r"\A(?:[:@](?:param|parameter|arg|type|returns?|rtype|raises?|throws|exception|see|since|var|author|version)\b"
    r"|(?:args|arguments|parameters|params|returns?|yields?|raises|exceptions|examples?|usage|notes?|see also|attributes"
    r"|references|warnings?|todo)[ \t]{0,20}:{1,2}\Z"
    r"|(?:some |for )?examples?\b[^.]*:\Z|>>>|\.\.(?: |\Z)|[-=~*+|]{4}|<(?:pre|p|ul|table)\b)",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"\A(?:parameters|returns?|raises|yields?|examples?|notes?|see also)\n[-=~]{3}", re.IGNORECASE
)
_BLANK_LINES = re.compile(r"\n\s*\n")
_ROLE = re.compile(r":(?:[a-z]{1,40}:)?[a-z]{1,40}:`([^`]{0,500})`")
_LITERAL = re.compile(r"``([^`]+)``")


def prose(comment: str) -> str:
    """What a comment says in sentences: paragraphs up to the first field, section or example, without Sphinx's marks.

    "" where it begins with one of these.
    """
    paragraphs: list[str] = []
    for paragraph in _BLANK_LINES.split(textwrap.dedent(comment).strip()):
        lines = [line.strip() for line in paragraph.splitlines()]
        kept = next((n for n in range(len(lines)) if _is_no_prose(lines, n)), len(lines))
        if kept:
            paragraphs.append(" ".join(" ".join(lines[:kept]).split()))
        if kept < len(lines):
            break
        if paragraph.rstrip().endswith("::"):  # a block of code comes next
            paragraphs[-1] = paragraphs[-1].rstrip(":") + ":"
            break
    return _LITERAL.sub(r"`\1`", _ROLE.sub(_role_in_words, "\n\n".join(paragraphs))).strip()


def _is_no_prose(lines: Sequence[str], place: int) -> bool:
    line = lines[place]
    following = lines[place + 1] if place + 1 < len(lines) else ""
    return bool(_NO_PROSE.match(line) or _HEADING.match(f"{line}\n{following}"))


def _role_in_words(found: re.Match[str]) -> str:
    """`title` of :role:`title <target>`; what is no such thing stays as it is."""
    title, opening, target = found[1].partition("<")
    if opening and target.find(">") != len(target) - 1:
        return found[0]
    return f"`{title.removeprefix('~').removeprefix('!').rstrip()}`"

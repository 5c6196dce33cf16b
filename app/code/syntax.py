"""Does it parse? Tree-sitter for five languages, Python's own parser for Python. Pure.

Rows of CodeSearchNet are functions cut out of their file: a Java method without its class, PHP without its
opening tag, a JavaScript function without a name. Each language therefore has the frames in which a cut-out
piece is still whole; the frame that fits best decides.
"""

import ast
import io
import re
import sys
import textwrap
import tokenize
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import tree_sitter_go
import tree_sitter_java
import tree_sitter_javascript
import tree_sitter_php
import tree_sitter_ruby
from tree_sitter import Language, Node, Parser, Tree

_FRAMES: dict[str, tuple[tuple[str, str], ...]] = {  # never a line break: line numbers must not move
    "go": (("", ""),),
    "java": (("", ""), ("class C { ", "\n}")),
    "javascript": (("", ""), ("(", "\n)"), ("({ ", "\n})"), ("class C { ", "\n}")),
    "php": (("<?php ", ""), ("<?php class C { ", "\n}")),
    "ruby": (("", ""),),
}
_MOST_FAULTS = 20
_FEWEST_STEPS, _BYTES_OF_A_STEP = (
    1_000,
    8,
)  # that a parser may take, whatever the text, and for how much of it one more
_PIECE = 1024  # bytes that a parser reads at once
_LINE_END = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")


class TooTangled(SyntaxError):
    """Code that a parser gives up on before it knows whether it parses: nobody writes such code."""


class Fault(NamedTuple):
    """One place where code does not parse."""

    line: int  # the first line is 1
    message: str


@lru_cache
def grammar(language: str) -> Language:
    """The tree-sitter grammar of one of the languages but Python.

    Raises KeyError for any other name.
    """
    sources = {
        "go": tree_sitter_go.language,
        "java": tree_sitter_java.language,
        "javascript": tree_sitter_javascript.language,
        "php": tree_sitter_php.language_php,
        "ruby": tree_sitter_ruby.language,
    }
    return Language(sources[language]())


def tree_of(source: str, language: str) -> Tree:
    """The tree-sitter tree of a text in one of the languages but Python. Raises TooTangled."""
    return parsed_within_bounds(source.encode("utf-8", "replace"), grammar(language))


def parsed_within_bounds(source: bytes, grammar: Language) -> Tree:
    """The tree of a text, whose nodes have their places in its bytes.

    To recover from faults may take the square of a text's length, or more. So the steps of a parser are counted:
    code of all kinds, read by the grammars of other languages and with a fault in every second line, takes at most a
    quarter of those that are allowed. Raises TooTangled.
    """
    meter = _Meter(source)
    try:
        tree = Parser(grammar).parse(meter.read, progress_callback=meter.is_over)
    except ValueError as error:  # the parser was stopped
        raise TooTangled("too tangled to be read") from error
    if meter.has_ended():
        raise TooTangled("too tangled to be read")
    return tree


class _Meter:
    """A text that a parser reads piece by piece, and how many steps it has left."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._left = _FEWEST_STEPS + len(source) // _BYTES_OF_A_STEP

    def read(self, start: int, _: object) -> bytes:
        """A piece of the text; nothing any more for a parser that has read it again and again."""
        self._left -= 1
        return self._source[start : start + _PIECE] if self._left > 0 else b""

    def is_over(self, *_: object) -> bool:
        """Called by the parser every hundred operations."""
        self._left -= 1
        return self._left <= 0

    def has_ended(self) -> bool:
        """Whether there was too much to do. If not, nodes may ask for their texts from now on."""
        is_over, self._left = self._left <= 0, sys.maxsize
        return is_over


def python_tree(code: str) -> ast.Module:
    """Python's own syntax tree of `code`, which may be indented as a whole.

    Raises SyntaxError, whatever made the parser give up (a NUL character ...), as TooTangled where it is nested too
    deeply to be read.
    """
    with warnings.catch_warnings():  # "invalid escape sequence": the author's business
        warnings.simplefilter("ignore")
        try:
            return ast.parse(textwrap.dedent(code) if code[:1].isspace() else code)
        except (RecursionError, MemoryError) as error:
            raise TooTangled("nested too deeply") from error
        except ValueError as error:
            raise SyntaxError(str(error)) from error


def python_lines(source: str) -> list[str]:
    """The lines as Python counts them, with their ends; str.splitlines would also end one at a form feed."""
    return _LINE_END.split(source)


def parses(code: str, language: str) -> bool:
    """Whether `code`, a file or a function cut out of one, is free of syntax errors."""
    if language == "python":
        try:
            python_tree(code)
        except SyntaxError:
            return False
        return True
    try:
        return any(not tree.root_node.has_error for tree in _framed_trees(code, language))
    except TooTangled:
        return False


def syntax_faults(code: str, language: str) -> list[Fault]:
    """Where `code` does not parse, at most 20 places in the frame that fits best; empty if it parses.

    Raises TooTangled where there is no telling.
    """
    if language == "python":
        try:
            python_tree(code)
        except TooTangled:
            raise
        except SyntaxError as error:
            return [Fault(error.lineno or 1, error.msg)]
        return []
    best: list[Fault] | None = None
    for tree in _framed_trees(code, language):
        faults = list(_faults(tree))
        if best is None or len(faults) < len(best):
            best = faults
    return best or []


def _framed_trees(code: str, language: str) -> Iterator[Tree]:
    for before, after in _FRAMES[language]:
        opening = "" if before.startswith("<?php") and code.lstrip().startswith("<?") else before
        yield tree_of(opening + code + after, language)


def _faults(tree: Tree) -> Iterator[Fault]:
    if not tree.root_node.has_error:
        return
    waiting: list[Node] = [tree.root_node]
    found = 0
    while waiting and found < _MOST_FAULTS:
        node = waiting.pop()
        if node.is_missing or node.is_error:
            found += 1
            yield Fault(node.start_point.row + 1, _in_words(node))
        elif node.has_error:
            waiting.extend(reversed(node.children))
    if not found:  # some errors lie in nodes that the tree does not show
        yield Fault(1, "does not parse")


def _in_words(node: Node) -> str:
    if node.is_missing:
        return f"{node.type} is missing"
    text = (node.text or b"").decode("utf-8", "replace").strip()
    return f"unexpected: {text.splitlines()[0][:60]}" if text else "unexpected end"


def words_of(code: str, language: str) -> list[str]:
    """The words of `code` in order, without comments and white space but Python's indentation.

    Code that cannot be read at all comes back cut at white space.
    """
    if language == "python":
        return _python_words(code)
    before = "<?php " if language == "php" else ""
    source = (before + code).encode("utf-8", "replace")
    try:
        leaves = _leaves(parsed_within_bounds(source, grammar(language)).root_node)
    except TooTangled:
        return code.split()
    return [source[leaf.start_byte : leaf.end_byte].decode("utf-8", "replace") for leaf in leaves]


def _leaves(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if "comment" in node.type:
            continue
        if not node.children:
            yield node
        waiting.extend(reversed(node.children))


def _python_words(code: str) -> list[str]:
    apart = (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(textwrap.dedent(code)).readline))
    except (tokenize.TokenError, SyntaxError):
        return code.split()
    layout = {tokenize.INDENT: "indent", tokenize.DEDENT: "dedent", tokenize.NEWLINE: "newline"}
    return [layout.get(one.type, one.string) for one in tokens if one.type not in apart]

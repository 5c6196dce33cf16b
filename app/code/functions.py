"""The functions of a source file with their comments, in the six languages. Pure.

A function inside a function belongs to the outer one; one without a body is none. A comment belongs to a
function when it ends on the line before it; Python's is the docstring.
"""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from tree_sitter import Node, Tree

from app.code.docstrings import cleaned
from app.code.syntax import python_lines, python_tree, tree_of


class Function(NamedTuple):
    name: str  # with the classes around it: Heap.push
    comment: str  # "" when there is none
    code: str  # not indented as a whole
    start_line: int  # from 1
    end_line: int  # included


def functions(source: str, language: str) -> Iterator[Function]:
    """The functions and methods of a file, in the order of the text.

    Raises SyntaxError when Python does not parse; the other five read around a fault, unless there are so many that
    it would take too long.
    """
    return _python_functions(source) if language == "python" else _tree_functions(source, language)


# --- Python -----------------------------------------------------------------------------------------------


def _python_functions(source: str) -> Iterator[Function]:
    lines = [line.rstrip("\r\n") for line in python_lines(source)]
    yield from _python_body(python_tree(source).body, lines, ())


def _python_body(body: list[ast.stmt], lines: list[str], scope: tuple[str, ...]) -> Iterator[Function]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _python_body(node.body, lines, (*scope, node.name))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            last = node.end_lineno or node.lineno
            code = _dedented(lines[first - 1 : last])
            yield Function(
                ".".join((*scope, node.name)),
                cleaned(ast.get_docstring(node, clean=False) or ""),
                code,
                first,
                last,
            )
        elif isinstance(node, (ast.If, ast.Try)):  # behind a version check or an optional import
            yield from _python_body(node.body, lines, scope)


# --- the other five ---------------------------------------------------------------------------------------


class _Kinds(NamedTuple):
    """Types of nodes in a grammar."""

    functions: frozenset[str]
    scopes: frozenset[str] = frozenset()


_KINDS = {
    "go": _Kinds(frozenset({"function_declaration", "method_declaration"})),
    "java": _Kinds(
        frozenset({"method_declaration", "constructor_declaration"}),
        frozenset({"class_declaration", "interface_declaration", "enum_declaration", "record_declaration"}),
    ),
    "javascript": _Kinds(
        frozenset({"function_declaration", "generator_function_declaration", "method_definition"}),
        frozenset({"class_declaration"}),
    ),
    "php": _Kinds(
        frozenset({"function_definition", "method_declaration"}),
        frozenset({"class_declaration", "interface_declaration", "trait_declaration"}),
    ),
    "ruby": _Kinds(frozenset({"method", "singleton_method"}), frozenset({"class", "module"})),
}
_COMMENTS = {"comment", "line_comment", "block_comment"}
_FUNCTION_VALUES = {"arrow_function", "function_expression", "generator_function"}  # of JavaScript


class _Named(NamedTuple):
    node: Node
    name: str


_MOST_SCOPES = 20  # that stand in a function's name: the inner ones


class _Scope(NamedTuple):
    name: str
    end_byte: int


def _tree_functions(source: str, language: str) -> Iterator[Function]:
    indentations = [line[: len(line) - len(line.lstrip())] for line in source.split("\n")]
    tree = tree_of(source, language)
    comments: dict[int, Node] = {}  # by their last row
    scopes: list[_Scope] = []
    for node, function in _outside_functions(tree, language):
        if node.type in _COMMENTS:
            ends_before = node.end_point.column == 0  # a Java line comment may own its line break
            comments[node.end_point.row - ends_before] = node
            continue
        while scopes and scopes[-1].end_byte < node.end_byte:
            scopes.pop()
        if function is None:
            scopes.append(_Scope(_name_of(node, "name"), node.end_byte))
            continue
        full_name = ".".join([*(scope.name for scope in scopes[-_MOST_SCOPES:]), function.name])
        first, last = function.node.start_point.row, function.node.end_point.row
        comment = _comment_above(comments, first)  # of several on one line the first has it
        yield Function(full_name, comment, _text_of(function.node, indentations), first + 1, last + 1)


def _outside_functions(tree: Tree, language: str) -> Iterator[tuple[Node, _Named | None]]:
    """Comments, scopes and functions in the order of the text, functions with their name; nothing inside them.

    A plain walk: a query costs the square of a node's children, and data files have a hundred thousand.
    """
    scopes = _KINDS[language].scopes
    cursor = tree.walk()
    while True:
        node = cursor.node or tree.root_node
        function = _named_function(node, language)
        if function is not None or node.type in _COMMENTS or node.type in scopes:
            yield node, function
        if function is None and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def _named_function(node: Node, language: str) -> _Named | None:
    """The function that a node is, or gives a name to, and the name."""
    if node.type in _KINDS[language].functions:
        if language != "ruby" and node.child_by_field_name("body") is None:
            return None
        return _Named(node, ".".join(filter(None, (_receiver(node), _name_of(node, "name")))))
    return _javascript_function(node) if language == "javascript" else None


def _javascript_function(node: Node) -> _Named | None:
    """const f = () => ..., X.prototype.f = function ..., {f: function ...}"""
    match node.type:
        case "lexical_declaration" | "variable_declaration":
            for declarator in node.named_children:
                if _is_function(declarator, "value"):
                    return _Named(node, _name_of(declarator, "name"))
        case "expression_statement":
            for assignment in node.named_children[:1]:
                if _is_function(assignment, "right"):
                    return _Named(node, _name_of(assignment, "left"))
        case "pair":
            value = node.child_by_field_name("value")
            if value is not None and value.type in _FUNCTION_VALUES:
                return _Named(value, _name_of(node, "key"))
        case _:
            pass
    return None


def _is_function(node: Node, field: str) -> bool:
    value = node.child_by_field_name(field)
    return value is not None and value.type in _FUNCTION_VALUES


def _receiver(method: Node) -> str:
    """The type that a Go method belongs to."""
    receiver = method.child_by_field_name("receiver")
    parameter = receiver.named_child(0) if receiver else None
    return _name_of(parameter, "type") if parameter else ""


def _name_of(node: Node, field: str) -> str:
    name = node.child_by_field_name(field)
    spelling = " ".join(_spelling(name).split()) if name else ""
    return spelling.lstrip("*").strip("'\"")[:200]


def _spelling(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _text_of(node: Node, indentations: list[str]) -> str:
    """The node's text, not indented: its first line starts where the indentation of its line ends."""
    text = _spelling(node).replace("\r\n", "\n").split("\n")
    return _dedented([indentations[node.start_point.row] + text[0], *text[1:]])


def _dedented(lines: list[str]) -> str:
    """Without the indentation of the first line, wherever a line has it (a long text may not)."""
    indentation = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    return "\n".join(line.removeprefix(indentation) for line in lines)


# --- comments ---------------------------------------------------------------------------------------------


def _comment_above(comments: dict[int, Node], row: int) -> str:
    """The block comment that ends on the row before, or the line comments that lead up to it."""
    parts: list[str] = []
    comment = comments.pop(row - 1, None)
    while comment is not None:
        text = _spelling(comment)
        if text.startswith(("/*", "=begin")):
            parts = parts or [text]
            break
        parts.append(text)
        comment = comments.get(comment.start_point.row - 1)
    return plain_comment("\n".join(part.rstrip("\n") for part in reversed(parts)))


_MARKERS = re.compile(r"^[ \t]*(?:/\*+!?|\*+/|\*(?!/)|//+!?|#+|=begin|=end)[ \t]?")


def plain_comment(text: str) -> str:
    """A comment's text without its markers (/** * */, //, #), as a docstring would have it."""
    if not _MARKERS.match(text):
        return text.strip()
    lines = [_MARKERS.sub("", line, count=1) for line in text.splitlines()]
    return cleaned("\n".join(["", *map(_unclosed, lines)])).strip()


def _unclosed(line: str) -> str:
    """Without the `*/` at the end of a comment."""
    body = line.rstrip(" \t")
    return body[:-1].rstrip("*").rstrip(" \t") if body.endswith("*/") else line

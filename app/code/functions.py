"""The functions of a source file with their comments, in the six languages. Pure.

A function inside a function belongs to the outer one; one without a body is none. A comment belongs to a
function when it ends on the line before it; Python's is the docstring.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from tree_sitter import Node, Query, QueryCursor

from app.code.syntax import grammar, python_lines, python_tree, tree_of


class Function(NamedTuple):
    name: str  # with the classes around it: Heap.push
    comment: str  # "" when there is none
    code: str  # not indented as a whole
    start_line: int  # from 1
    end_line: int  # included


_FUNCTION_VALUE = "[(arrow_function) (function_expression) (generator_function)]"
_QUERIES = {
    "go": """
        (function_declaration name: (_) @name) @function
        (method_declaration receiver: (parameter_list (parameter_declaration type: (_) @owner))
                            name: (_) @name) @function
        (comment) @comment""",
    "java": """
        (method_declaration name: (_) @name body: (_)) @function
        (constructor_declaration name: (_) @name body: (_)) @function
        [(class_declaration name: (_) @name) (interface_declaration name: (_) @name)
         (enum_declaration name: (_) @name) (record_declaration name: (_) @name)] @scope
        [(line_comment) (block_comment)] @comment""",
    "javascript": f"""
        [(function_declaration name: (_) @name) (generator_function_declaration name: (_) @name)
         (method_definition name: (_) @name)] @function
        (_ (variable_declarator name: (identifier) @name value: {_FUNCTION_VALUE})) @function
        (expression_statement
          (assignment_expression left: (_) @name right: {_FUNCTION_VALUE})) @function
        (pair key: (_) @name value: {_FUNCTION_VALUE} @function)
        (class_declaration name: (_) @name) @scope
        (comment) @comment""",
    "php": """
        [(function_definition name: (_) @name)
         (method_declaration name: (_) @name body: (_))] @function
        [(class_declaration name: (_) @name) (interface_declaration name: (_) @name)
         (trait_declaration name: (_) @name)] @scope
        (comment) @comment""",
    "ruby": """
        [(method name: (_) @name) (singleton_method name: (_) @name)] @function
        [(class name: (_) @name) (module name: (_) @name)] @scope
        (comment) @comment""",
}


def functions(source: str, language: str) -> Iterator[Function]:
    """The functions and methods of a file, in the order of the text.

    Raises SyntaxError when Python does not parse; the other five read around a fault.
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
            yield Function(".".join((*scope, node.name)), ast.get_docstring(node) or "", code, first, last)
        elif isinstance(node, (ast.If, ast.Try)):  # behind a version check or an optional import
            yield from _python_body(node.body, lines, scope)


# --- the other five ---------------------------------------------------------------------------------------


class _Scope(NamedTuple):
    name: str
    end_byte: int


@lru_cache
def _query(language: str) -> Query:
    return Query(grammar(language), _QUERIES[language])


def _tree_functions(source: str, language: str) -> Iterator[Function]:
    lines = source.split("\n")
    comments, found = _matches(source, language)
    scopes: list[_Scope] = []
    read_to = 0
    for node, name, is_scope in found:
        scopes = [scope for scope in scopes if scope.end_byte >= node.end_byte]
        if is_scope:
            scopes.append(_Scope(name, node.end_byte))
        elif node.start_byte >= read_to:
            read_to = node.end_byte
            first, last = node.start_point.row, node.end_point.row
            full_name = ".".join([*(scope.name for scope in scopes), name])
            comment = _comment_above(comments, first)
            yield Function(full_name, comment, _text_of(node, lines), first + 1, last + 1)


def _matches(source: str, language: str) -> tuple[dict[int, Node], list[tuple[Node, str, bool]]]:
    """The comments by their last row, and (node, name, is it a scope) in the order of the text."""
    comments: dict[int, Node] = {}
    found: dict[tuple[int, int], tuple[Node, str, bool]] = {}
    for _, captures in QueryCursor(_query(language)).matches(tree_of(source, language).root_node):
        if "comment" in captures:
            comment = captures["comment"][0]
            ends_before = comment.end_point.column == 0  # a Java line comment may own its line break
            comments[comment.end_point.row - ends_before] = comment
            continue
        node = captures["function" if "function" in captures else "scope"][0]
        owner = captures["owner"][0] if "owner" in captures else None
        name = ".".join(_plain(part) for part in (owner, captures["name"][0]) if part is not None)
        found.setdefault((node.start_byte, -node.end_byte), (node, name, "scope" in captures))
    return comments, [found[place] for place in sorted(found)]


def _plain(name: Node) -> str:
    return " ".join(_spelling(name).split()).lstrip("*").strip("'\"")[:200]


def _spelling(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _text_of(node: Node, lines: list[str]) -> str:
    """The node's text, not indented: its first line starts where the indentation of its line ends."""
    text = _spelling(node).replace("\r\n", "\n").split("\n")
    indentation = lines[node.start_point.row]
    indentation = indentation[: len(indentation) - len(indentation.lstrip())]
    return _dedented([indentation + text[0], *text[1:]])


def _dedented(lines: list[str]) -> str:
    """Without the indentation of the first line, wherever a line has it (a long text may not)."""
    indentation = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    return "\n".join(line.removeprefix(indentation) for line in lines)


# --- comments ---------------------------------------------------------------------------------------------


def _comment_above(comments: dict[int, Node], row: int) -> str:
    """The block comment that ends on the row before, or the line comments that lead up to it."""
    parts: list[str] = []
    comment = comments.get(row - 1)
    while comment is not None:
        text = _spelling(comment)
        if text.startswith(("/*", "=begin")):
            parts = parts or [text]
            break
        parts.insert(0, text)
        comment = comments.get(comment.start_point.row - 1)
    return plain_comment("\n".join(part.rstrip("\n") for part in parts))


_MARKERS = re.compile(r"^[ \t]*(?:/\*+!?|\*+/|\*(?!/)|//+!?|#+|=begin|=end)[ \t]?")


def plain_comment(text: str) -> str:
    """A comment's text without its markers (/** * */, //, #), as a docstring would have it."""
    if not _MARKERS.match(text):
        return text.strip()
    lines = [_MARKERS.sub("", line, count=1) for line in text.splitlines()]
    lines = [re.sub(r"[ \t]*\*+/[ \t]*$", "", line) for line in lines]
    return inspect.cleandoc("\n".join(["", *lines])).strip()

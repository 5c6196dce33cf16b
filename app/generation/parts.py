"""The parts of a piece of code with their places, from its syntax tree. Pure."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import tree_sitter_python
from tree_sitter import Language, Node, Tree

from app.code.syntax import TooTangled, parsed_within_bounds, tree_of

# A method cut out of its class has a tree of its own kind only in one again; never a line break before it.
_AROUND = {
    "java": (("class C { ", "\n}"), ("", "")),
    "php": (("<?php class C { ", "\n}"), ("<?php ", "")),
    "javascript": (("", ""), ("(", "\n)"), ("({ ", "\n})")),
}


class Part(NamedTuple):
    """A word of the code or something made of words. `start` and `end` are places in its UTF-8 bytes."""

    start: int
    end: int
    kind: str  # as the grammar calls it; an operator's and a keyword's is itself
    parent: str  # the kind of what it stands in
    first: str  # the kind of what it begins with; "" for a word
    is_named: bool  # whether the grammar counts it as more than punctuation


def parts(code: str, language: str) -> list[Part]:
    """The parts of `code` in order, the outer before the inner, without comments and strings.

    Empty where it is too tangled to be read.
    """
    try:
        tree, shift = _tree(code, language)
    except TooTangled:
        return []
    length = len(code.encode("utf-8", "replace"))
    found = (_part(node, parent, shift) for node, parent in _nodes(tree.root_node))
    return [part for part in found if part.start >= 0 and part.end <= length]


def before_body(code: str, language: str) -> str:
    """The signature of the function that `code` holds: what stands before its body. "" where none is found."""
    try:
        tree, shift = _tree(code, language)
    except TooTangled:
        return ""
    waiting = [tree.root_node]
    while waiting:
        node = waiting.pop()
        body = node.child_by_field_name("body")
        if body is not None and any(kind in node.type for kind in ("function", "method", "constructor")):
            end = max(body.start_byte - shift, 0)
            return code.encode("utf-8", "replace")[:end].decode("utf-8", "replace").rstrip()
        waiting.extend(reversed(node.children))
    return ""


def _tree(code: str, language: str) -> tuple[Tree, int]:
    """The tree of `code` and how many bytes stand before the code in it."""
    if language == "python":
        return parsed_within_bounds(code.encode("utf-8", "replace"), _python()), 0
    frames = _AROUND.get(language, (("", ""),))
    trees = [(tree_of(before + code + after, language), len(before)) for before, after in frames]
    return next((framed for framed in trees if not framed[0].root_node.has_error), trees[0])


@lru_cache
def _python() -> Language:
    return Language(tree_sitter_python.language())


def _nodes(root: Node) -> Iterator[tuple[Node, str]]:
    """Nodes with the kind of what they stand in; a node asked for its parent walks there from the root."""
    waiting = [(root, "")]
    while waiting:
        node, parent = waiting.pop()
        if "comment" not in node.type and "string" not in node.type:
            yield node, parent
            waiting.extend((child, node.type) for child in reversed(node.children))


def _part(node: Node, parent: str, shift: int) -> Part:
    return Part(
        start=node.start_byte - shift,
        end=node.end_byte - shift,
        kind=node.type,
        parent=parent,
        first=node.children[0].type if node.children else "",
        is_named=node.is_named,
    )

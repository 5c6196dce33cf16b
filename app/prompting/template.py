"""Templates by their content: a changed word is another template. Pure.

A template is one text: the system message, a line `---`, and the question. `{name}` in it is a placeholder;
`{{name}}` stands for the text `{name}` itself, and any other brace for itself.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

BETWEEN = "\n\n---\n\n"
"""What stands between the two messages in the content of a prompt's template."""

PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")


class Template(NamedTuple):
    """The text of a prompt or of a rule set, before an instance is put in."""

    name: str  # generate/repair, judge/repair, rules/repair ...
    version: str
    content: str
    content_hash: str


def template_hash(content: str) -> str:
    """SHA-256 of a template's text, 64 hexadecimal digits: calls point at the template by it."""
    return hashlib.sha256(content.encode()).hexdigest()


def template_of(name: str, version: str, content: str) -> Template:
    return Template(name, version, content, template_hash(content))


def messages_of(content: str) -> tuple[str, str]:
    """The system message and the user message, with their places still open."""
    system, _, user = content.rpartition(BETWEEN)
    return system, user


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with its placeholders replaced, in one pass: what is put in is never looked at again."""

    def put(found: re.Match[str]) -> str:
        escaped, name = found.groups()
        return f"{{{escaped}}}" if escaped else values.get(name, found[0])

    return PLACEHOLDER.sub(put, text)


def asks_for(content: str, name: str) -> bool:
    """Whether the placeholder `name` stands in a template."""
    return any(found[2] == name for found in PLACEHOLDER.finditer(content))

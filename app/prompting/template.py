"""Templates by their content: a changed word is another template. Pure."""

import hashlib
from typing import NamedTuple


class Template(NamedTuple):
    """The text of a prompt or of a rule set, before an instance is put in."""

    name: str  # generate/repair, judge/repair, rules/repair ...
    version: str
    content: str
    content_hash: str


BETWEEN = "\n\n---\n\n"
"""What stands between the two messages in the content of a prompt's template."""


def messages_of(content: str) -> tuple[str, str]:
    """The system message, and the user message with its places still open."""
    system, _, user = content.rpartition(BETWEEN)
    return system, user


def template_hash(content: str) -> str:
    """SHA-256 of a template's text, 64 hexadecimal digits: calls point at the template by it."""
    return hashlib.sha256(content.encode()).hexdigest()


def template_of(name: str, version: str, content: str) -> Template:
    return Template(name, version, content, template_hash(content))

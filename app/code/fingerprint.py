"""When two pieces of code count as the same text. Pure."""

import hashlib

from app.code.docstrings import without_docstring
from app.code.syntax import words_of


def normalised(code: str) -> str:
    """`code` with every run of white space as one space, so that layout does not tell copies apart."""
    return " ".join(code.split())


def fingerprint(code: str) -> str:
    """SHA-256 of the normalised code, 64 hexadecimal digits."""
    return hashlib.sha256(normalised(code).encode("utf-8", "surrogatepass")).hexdigest()


def differ_in_comments_only(left: str, right: str, language: str) -> bool:
    """Whether two pieces of code have the same words but for comments, docstrings and white space."""
    one, other = (words_of(without_docstring(code, language), language) for code in (left, right))
    return one == other

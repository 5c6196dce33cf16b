"""When two pieces of code count as the same text. Pure."""

import hashlib


def normalised(code: str) -> str:
    """`code` with every run of white space as one space, so that layout does not tell copies apart."""
    return " ".join(code.split())


def fingerprint(code: str) -> str:
    """SHA-256 of the normalised code, 64 hexadecimal digits."""
    return hashlib.sha256(normalised(code).encode("utf-8", "surrogatepass")).hexdigest()

"""Secrets that are shown once and kept as a hash. Pure but for the system's randomness."""

import hashlib
import secrets
from typing import NamedTuple

TOKEN_MARK = "bw_"  # lets secret scanners recognise a token that leaked
SHOWN_CHARACTERS = 8


class NewSecret(NamedTuple):
    secret: str
    hash: str


def new_secret(mark: str = "") -> NewSecret:
    """256 random bits for a cookie or a token. Such a secret needs no slow hash."""
    secret = mark + secrets.token_urlsafe(32)
    return NewSecret(secret, hash_of(secret))


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def one_time_password() -> str:
    """A password to read aloud or copy: four groups of four letters, none alike (79 bits)."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))

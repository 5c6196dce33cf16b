"""Passwords: Argon2 by pwdlib, and the same work for a name that does not exist."""

import threading
from functools import lru_cache

from pwdlib import PasswordHash

from app.errors import InvalidInput

FEWEST_CHARACTERS = 10
MOST_CHARACTERS = 200  # a longer one would only buy the sender our processor time

AT_ONCE = 2
"""Passwords that one process looks at in the same moment: each takes 64 MiB, and four threads of its own."""

_free = threading.BoundedSemaphore(AT_ONCE)


@lru_cache
def _argon2() -> PasswordHash:
    return PasswordHash.recommended()


@lru_cache
def _nobodys_hash() -> str:
    return _argon2().hash("nobody has this password")


def hash_password(password: str) -> str:
    with _free:
        return _argon2().hash(password)


def is_right(password: str, password_hash: str | None) -> bool:
    """Compare; without a hash the same time goes by and the answer is no."""
    if len(password) > MOST_CHARACTERS:
        password = ""
    with _free:
        right = _argon2().verify(password, password_hash or _nobodys_hash())
    return right and password_hash is not None


def demand_good_password(password: str, name: str) -> None:
    """Raises InvalidInput for a password that is too short, too long, or nearly the name."""
    if len(password) < FEWEST_CHARACTERS:
        raise InvalidInput(f"use at least {FEWEST_CHARACTERS} characters", "password")
    if len(password) > MOST_CHARACTERS:
        raise InvalidInput(f"use at most {MOST_CHARACTERS} characters", "password")
    if "\0" in password:
        raise InvalidInput("a password cannot hold a NUL character", "password")
    if password.casefold().strip("0123456789") == name.casefold() or len(set(password)) < 4:
        raise InvalidInput("this is too easy to guess", "password")

"""One product for all races of a process; its passwords and its database are no other tests'."""

from collections.abc import Iterator

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.accounts import passwords
from tests.races.product import Product, serving


@pytest.fixture(scope="package")
def product(servers: tuple[str, str]) -> Iterator[Product]:
    with pytest.MonkeyPatch.context() as patch, serving(servers[0]) as product:
        # No race is about the work of a hash, and twelve at once would take the machine.
        cheap = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
        patch.setattr(passwords, "_argon2", lambda: cheap)
        yield product

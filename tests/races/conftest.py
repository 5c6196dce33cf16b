"""One product for all races of a process."""

from collections.abc import Iterator

import pytest

from tests.races.product import Product, serving


@pytest.fixture(scope="session")
def product(servers: tuple[str, str]) -> Iterator[Product]:
    with serving(servers[0]) as product:
        yield product

"""Twelve times the same write at once: no answer is a fault, nothing is done twice, and what was answered is so."""

from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

from app.main import APIS, PAGES
from tests.races.product import AT_ONCE, Answer, Asked, Product
from tests.races.recipes import RECIPES, Recipe
from tests.races.worlds import World

READING = {"GET", "HEAD", "OPTIONS"}
FEW = 4
MOST_ENTRIES_OF_ONE = 2  # a lot is frozen, its seed is drawn
REFUSED = {404, 409, 412, 422, 429}


def writes() -> Iterator[str]:
    """Every route of the product that is not a reading one."""
    for module in (*PAGES, *APIS):
        for route in module.router.routes:
            yield from (f"{method} {route.path}" for method in route.methods - READING)


def test_every_write_has_a_recipe() -> None:
    assert sorted(writes()) == sorted(RECIPES)


@pytest.mark.parametrize("route", RECIPES)
def test_the_same_at_once_is_done_once(product: Product, route: str) -> None:
    recipe = RECIPES[route]
    alone, one = _go(product, recipe, 1)
    assert one[0].is_done, one

    changed, answers = _go(product, recipe, AT_ONCE)

    done = [one for one in answers if one.is_done]
    assert done, answers
    assert {one.status for one in answers if not one.is_done} <= REFUSED, answers
    assert changed == _times(alone, len(done) if recipe.each else 1), (
        Counter(one.status for one in answers),
        answers[:2],
    )


@pytest.mark.parametrize("route", [route for route in RECIPES if route.startswith("POST /api/")])
def test_under_one_key_all_get_the_same_answer(product: Product, route: str) -> None:
    changed, answers = _go(product, RECIPES[route], FEW, {"Idempotency-Key": "order 7"})

    assert changed["idempotency_key"] == 1
    assert changed.get("log_entry", 0) <= MOST_ENTRIES_OF_ONE
    assert len({one.body for one in answers if one.is_done}) == 1, answers
    assert {one.status for one in answers if not one.is_done} <= {409}, answers


def _go(
    product: Product, recipe: Recipe, times: int, headers: Mapping[str, str] = {}
) -> tuple[dict[str, int], list[Answer]]:
    """Rows that each table has more or less after so many at once, and how they were answered."""
    with product.sessions.begin() as session:
        world = World(session, everywhere=recipe.everywhere)
        asked = recipe.asked(world)
        world.end_runs()
        sent = [_with(world.at(asked, number), headers) for number in range(times)]
    before = product.rows()
    answers = product.race(sent) if times > 1 else [product.ask(sent[0])]
    after = product.rows()
    return {table: after[table] - before[table] for table in after if after[table] != before[table]}, answers


def _with(asked: Asked, headers: Mapping[str, str]) -> Asked:
    return asked._replace(headers={**asked.headers, **headers})


def _times(rows: Mapping[str, int], number: int) -> dict[str, int]:
    return {table: more * number for table, more in rows.items()}

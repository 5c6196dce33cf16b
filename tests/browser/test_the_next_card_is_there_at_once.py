"""A decision shows the next card before the server has answered, and never claims more than it knows."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import delete, select, update

from app.pipeline import InstanceStatus
from app.storage.tables import Decision, Instance, Lease
from tests.browser.conftest import Product, await_stored

pytestmark = pytest.mark.browser

DECIDE = "**/review/*/decide*"


def _on_screen(page: Page) -> int:
    return int(page.locator("#card").get_attribute("data-instance") or 0)


def _leases(product: Product) -> list[int]:
    with product.sessions() as session:
        return sorted(session.scalars(select(Lease.instance_id)))


def _decided(product: Product) -> list[int]:
    with product.sessions() as session:
        return list(session.scalars(select(Decision.instance_id).order_by(Decision.id)))


@pytest.fixture
def ready(page: Page) -> Iterator[Page]:
    """The guideline is read, and the next card is fetched."""
    if page.locator("#guideline").is_visible():
        page.keyboard.press("Enter")
    page.wait_for_load_state("networkidle")
    yield page
    page.unroute_all()


def test_the_next_card_is_painted_while_the_decision_is_on_its_way(ready: Page, product: Product) -> None:
    page = ready
    first, second = _leases(product)
    assert _on_screen(page) == first
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(DECIDE, hold)

    page.keyboard.press("a")
    expect(page.locator("#card")).to_have_attribute("data-instance", str(second))
    expect(page.locator("#card")).to_be_focused()
    expect(page.get_by_text("storing", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Undo last")).to_have_count(0)
    assert _decided(product) == []

    held[0].continue_()
    await_stored(page)
    expect(page.get_by_role("button", name="Undo last")).to_be_visible()
    expect(page.locator("#counts")).to_contain_text("1 today")
    assert _decided(product) == [first]
    assert len(_leases(product)) == 2


def test_a_decision_that_is_refused_comes_back_with_its_text(ready: Page, product: Product) -> None:
    page, mine = ready, _on_screen(ready)
    page.keyboard.press("n")
    page.keyboard.type("My own words.")
    page.keyboard.press("Escape")
    with product.sessions.begin() as session:
        session.execute(delete(Lease).where(Lease.instance_id == mine))
        session.execute(update(Instance).where(Instance.id == mine).values(status=InstanceStatus.WITHDRAWN))

    page.keyboard.press("x")
    page.keyboard.press("1")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was stored")
    assert _on_screen(page) == mine
    expect(page.get_by_text("Your note: My own words.")).to_be_visible()
    assert not page.get_by_role("button", name="Accept").is_visible()

    with product.sessions.begin() as session:
        session.execute(update(Instance).where(Instance.id == mine).values(status=InstanceStatus.WAITING))
    page.reload()


def test_without_an_answer_it_says_so_and_goes_on_trying(ready: Page, product: Product) -> None:
    page, mine = ready, _on_screen(ready)
    before = _decided(product)
    tries: list[Route] = []

    def lost_at_first(route: Route) -> None:
        tries.append(route)
        route.abort() if len(tries) == 1 else route.continue_()

    page.route(DECIDE, lost_at_first)
    page.keyboard.press("a")

    expect(page.get_by_text("not stored yet, trying again: the server does not answer")).to_be_visible()
    expect(page.get_by_role("button", name="Undo last")).to_be_visible()
    assert _decided(product) == [*before, mine]
    assert len(tries) == 2


def test_two_decisions_in_a_row_are_stored_in_their_order(ready: Page, product: Product) -> None:
    page, before = ready, _decided(product)
    first = _on_screen(page)

    page.keyboard.press("a")
    second = _on_screen(page)
    page.keyboard.press("a")

    expect(page.locator("#counts")).to_contain_text(f"{len(before) + 2} today")
    await_stored(page)
    assert _decided(product) == [*before, first, second]

"""No page has a serious fault that axe can find, in either theme, and none scrolls sideways on a phone."""

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page
from sqlalchemy import update

from app.accounts.sessions import open_session
from app.storage.tables import Membership
from app.web.dependencies import SESSION_COOKIE
from tests.browser.a_used_project import use
from tests.browser.all_pages import MISSING, SIGN_IN, Ids, addresses
from tests.browser.conftest import Desk, Product

pytestmark = pytest.mark.browser

PHONE_PX = 375
# The themes differ in their colours only, so that the second look is a short one.
LOOK = """async () => {
    const grave = async (theme, options) => {
        document.documentElement.dataset.theme = theme;
        const found = await axe.run({ resultTypes: ["violations"], ...options });
        return found.violations
            .filter((one) => ["serious", "critical"].includes(one.impact))
            .map((one) => `${theme}: ${one.id} at ${one.nodes.slice(0, 3).map((node) => node.target)}`);
    };
    return [...await grave("light"), ...await grave("dark", { runOnly: ["color-contrast"] })];
}"""


@pytest.fixture(scope="module")
def ids(product: Product, desk: Desk) -> Ids:
    with product.sessions.begin() as session:
        session.execute(update(Membership).values(role="admin"))
        return use(session, desk.project, desk.person)


def test_axe_finds_nothing_grave_and_a_phone_shows_the_whole_width(
    browser: Browser, product: Product, desk: Desk, ids: Ids
) -> None:
    with product.sessions.begin() as session:
        cookie = open_session(session, desk.person)
    found: dict[str, list[str]] = {}
    with (
        browser.new_context(base_url=product.address, color_scheme="light") as anonymous,
        browser.new_context(base_url=product.address, color_scheme="light") as signed_in,
    ):
        signed_in.add_cookies([{"name": SESSION_COOKIE, "value": cookie, "url": product.address}])
        page = signed_in.new_page()
        for address in addresses(ids):
            found[address] = _faults(page, address)
        found[SIGN_IN] = _faults(anonymous.new_page(), SIGN_IN)

    assert {address: faults for address, faults in found.items() if faults} == {}


def _faults(page: Page, address: str) -> list[str]:
    page.set_viewport_size({"width": 1440, "height": 900})
    answer = page.goto(address)
    assert answer is not None
    assert answer.ok or address == MISSING, f"{address}: {answer.status}"
    page.evaluate(AXE_SCRIPT)
    faults: list[str] = page.evaluate(LOOK)
    page.set_viewport_size({"width": PHONE_PX, "height": 812})
    width = page.evaluate("document.scrollingElement.scrollWidth")
    return [*faults, *([f"{width} px wide"] if width > PHONE_PX else [])]

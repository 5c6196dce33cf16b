from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ["/", "/review", "/instances", "/instances/1"])
def test_axe_finds_nothing(page: Page, scheme: Literal["light", "dark"], address: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    if address == "/review" and page.locator("#guideline[open]").count():
        page.keyboard.press("Escape")
        expect(page.locator("#guideline")).not_to_be_visible()

    found = Axe().run(page)

    assert found.violations_count == 0, found.generate_report()

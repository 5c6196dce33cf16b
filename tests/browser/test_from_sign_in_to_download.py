"""The whole product, as one person meets it: sign in, review by keyboard, cut a release, download it."""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.stack.product import Product, jsonl, running
from tests.stack.test_rest_from_code_to_release import standard_library_rows

pytestmark = [pytest.mark.browser, pytest.mark.stack]

PASSWORD = "a new password of mine"


@pytest.fixture(scope="module")
def whole_product() -> Iterator[Product]:
    """The real processes, with six instances that wait."""
    with tempfile.TemporaryDirectory(prefix="bw-") as folder, running(Path(folder) / "home") as product:
        product.post("/api/v1/projects", 201, json={"name": "Small"})
        project = "/api/v1/projects/small"
        upload = jsonl(standard_library_rows(12))
        product.finished(
            product.post(
                f"{project}/sources",
                202,
                files={"file": ("rows.jsonl", upload)},
                data={"license": "PSF-2.0"},
            )
        )
        product.finished(product.post(f"{project}/selections", 202, json={"k": 3}))
        product.finished(
            product.post(
                f"{project}/generations",
                202,
                json={"tasks": {"summarization": 1, "generation": 1}, "count": 6},
            )
        )
        yield product


def test_from_the_printed_password_to_a_downloaded_release(browser: Browser, whole_product: Product) -> None:
    context = browser.new_context(base_url=whole_product.url, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    sign_in_and_choose_a_password(page, whole_product.password)
    page.goto("/review?project=small")
    page.keyboard.press("Enter")  # the guideline, read
    expect(page.locator("#card")).to_be_focused()

    for keys in (["a"], ["e", "End", "!", "Control+Enter"], ["x", "1"], ["a"], ["u"], ["a"]):
        press(page, *keys)

    decisions = Counter(
        decision["action"]
        for item in whole_product.get("/api/v1/projects/small/instances")["items"]
        for decision in whole_product.get(f"/api/v1/instances/{item['id']}")["decisions"]
        if decision["undone_at"] is None
    )
    assert decisions == {"accept": 2, "edit": 1, "reject": 1}
    rows = cut_and_download(page)
    assert Counter(row["decision"] for row in rows) == {"accept": 2, "edit": 1}
    context.close()


def sign_in_and_choose_a_password(page: Page, one_time: str) -> None:
    page.goto("/signin")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(one_time)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/password"))
    fields = page.locator("input[type=password]")
    for number in range(fields.count()):
        is_old = fields.nth(number).get_attribute("autocomplete") == "current-password"
        fields.nth(number).fill(one_time if is_old else PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/password" not in url)


def press(page: Page, *keys: str) -> None:
    """Press keys and wait until another card has the focus."""
    before = page.locator("#card").get_attribute("data-instance")
    for key in keys:
        page.keyboard.press(key)
    expect(page.locator("#card")).not_to_have_attribute("data-instance", str(before))
    expect(page.locator("#card")).to_be_focused()


def cut_and_download(page: Page) -> list[dict[str, str]]:
    page.goto("/releases/new")
    page.get_by_label("Name").fill("first")
    page.keyboard.press("Enter")
    expect(page.locator("#run-progress")).to_contain_text("completed", timeout=30_000)
    page.goto("/releases/first")
    with page.expect_download() as download:
        page.get_by_role("link", name="codeocean.train.jsonl").click()
    return [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]

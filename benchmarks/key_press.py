"""From the key press to the next card on screen, and how much a reader's browser loads for it.

    python -m benchmarks.key_press

100 decisions by keyboard in headless Chromium, which is installed with Playwright or from the system. The time runs
from the `keydown` that decides to the second animation frame after the next card stands in the page: then it is
painted. Bytes are those that came over the wire, headers included. The sizes are the same with `--full`.
Milliseconds; kB are 1,000 bytes.
"""

import random
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import CDPSession, Page, sync_playwright

import benchmarks
from app.web.dependencies import SESSION_COOKIE
from benchmarks._instances import seed
from benchmarks._product import database_of, fresh_home
from benchmarks.review import p95
from tests.browser.conftest import CHROMIUM_FLAGS
from tests.stack.product import running

INSTANCES = 2000
DECISIONS = 100
THINK_MS = 150
KEYS = {("a",): 80, ("x", "1"): 10, ("s", "7"): 10}
_WATCH = """() => {
    window.painted = [];
    let pressed = 0, shown = document.getElementById("card").dataset.instance;
    document.addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
    new MutationObserver(() => {
        const now = document.getElementById("card")?.dataset.instance;
        if (!now || now === shown) return;
        shown = now;
        requestAnimationFrame(() => requestAnimationFrame(() => painted.push(performance.now() - pressed)));
    }).observe(document.body, { childList: true, subtree: true });
}"""


def run(full: bool) -> dict[str, Any]:
    with fresh_home() as home, running(home) as product, database_of(product) as database:
        (cookie,) = seed(database, INSTANCES, 1).cookies
        with _page(product.url, cookie) as page:
            wire = Wire(page.context.new_cdp_session(page))
            page.goto("/review", wait_until="networkidle")
            first = wire.taken()
            page.keyboard.press("Enter")  # closes the guideline, which opens on the first visit
            page.evaluate(_WATCH)
            for number in range(DECISIONS):
                _decide(page, number)
            cards = [size for address, size in wire.taken() if address.endswith("/decide")]
            painted = page.evaluate("painted")
    return {
        "decisions": len(painted),
        "p50_ms": round(statistics.median(painted), 1),
        "p95_ms": p95(painted),
        "most_ms": round(max(painted), 1),
        "first_page_kb": round(sum(size for _, size in first) / 1000, 1),
        "first_page_requests": len(first),
        "other_hosts": sorted(
            {urlsplit(address).netloc for address, _ in first} - {urlsplit(product.url).netloc}
        ),
        "card_p50_kb": round(statistics.median(cards) / 1000, 1),
        "card_most_kb": round(max(cards) / 1000, 1),
        "largest": {
            urlsplit(address).path: round(size / 1000, 1)
            for address, size in sorted(first, key=lambda one: -one[1])[:5]
        },
    }


class Wire:
    """What the browser loads: (address, bytes over the wire)."""

    def __init__(self, protocol: CDPSession) -> None:
        self._addresses: dict[str, str] = {}
        self._loaded: list[tuple[str, int]] = []
        protocol.on("Network.requestWillBeSent", self._asked)
        protocol.on("Network.loadingFinished", self._finished)
        protocol.send("Network.enable")

    def taken(self) -> list[tuple[str, int]]:
        """Everything since the last time."""
        loaded, self._loaded = self._loaded, []
        return loaded

    def _asked(self, event: dict[str, Any]) -> None:
        self._addresses[event["requestId"]] = event["request"]["url"]

    def _finished(self, event: dict[str, Any]) -> None:
        address = self._addresses[event["requestId"]]
        if not address.startswith("data:"):
            self._loaded.append((address, event["encodedDataLength"]))


@contextmanager
def _page(url: str, cookie: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        context = browser.new_context(base_url=url, viewport={"width": 1440, "height": 900})
        context.add_cookies([{"name": SESSION_COOKIE, "value": cookie, "url": url}])
        yield context.new_page()
        browser.close()


def _decide(page: Page, number: int) -> None:
    """Decide on the card in hand and wait for the next."""
    (keys,) = random.choices(list(KEYS), weights=list(KEYS.values()))
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_function("wanted => painted.length > wanted", arg=number, timeout=10_000)
    page.wait_for_timeout(THINK_MS)


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

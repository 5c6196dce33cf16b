"""Start the product with its demo in a temporary home, and take a picture of every page into `screenshots/`."""

import shutil
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import psycopg
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the tests know how to start the product, and which pages there are

from app.web.templating import THEME_COOKIE  # noqa: E402
from tests.browser.all_pages import SIGN_IN, Ids, addresses  # noqa: E402
from tests.browser.conftest import CHROMIUM_FLAGS  # noqa: E402
from tests.stack.product import Product, running  # noqa: E402
from tests.waiting import await_that  # noqa: E402

PICTURES = ROOT / "screenshots"
WIDTHS = {1440: 900, 1024: 768, 375: 812}
DEMO_S = 180
THEMES = ("light", "dark")
PASSWORD = "screenshots of every page"
READERS = {
    "ada": {"action": "edit", "note": "It lost its comment."},
    "bob": {"action": "reject", "reason": "incorrect", "note": "The name of the module is never compared."},
}
DRAWS_READ = 80
ROWS = {
    "audit_id": "SELECT min(id) FROM audit",
    "/adjudication/audits/{audit_id}/{instance_id}": (
        "SELECT '/adjudication/audits/' || audit_id || '/' || instance_id FROM decision"
        " WHERE audit_id IS NOT NULL GROUP BY audit_id, instance_id HAVING count(DISTINCT defect) = 2"
    ),
    "bulk_action_id": "SELECT min(id) FROM bulk_action HAVING min(id) IS NOT NULL",
    "snippet_id": "SELECT min(snippet_id) FROM pick",
    "source_id": "SELECT min(id) FROM source",
    "selection_id": "SELECT min(id) FROM selection",
    "/runs/{run_id}/reparse": "SELECT '/runs/' || min(id) || '/reparse' FROM run WHERE kind = 'generate'",
    "/quality/replays/{run_id}": "SELECT '/quality/replays/' || min(id) FROM run WHERE kind = 'replay'",
    "run_id": "SELECT min(id) FROM run GROUP BY kind ORDER BY 1",
    "instance_id": "SELECT min(instance_id) FROM decision UNION SELECT min(id) FROM instance WHERE status = 'disputed'",
    "call_id": "SELECT min(id) FROM call",
    "exemplar_id": "SELECT max(id) FROM exemplar",
    "decision_id": "SELECT min(id) FROM decision",
    "kind": "SELECT unnest(ARRAY['generate', 'judge'])",
    "task": "SELECT unnest(ARRAY['repair', 'repair'])",
    "rule": "SELECT 'readable'",
    "/prompts/{kind}/{task}/tries/{run_id}": "SELECT '/prompts/generate/repair/tries/' || id FROM run WHERE kind = 'try'",
    "person_id": "SELECT min(id) FROM person",
    "name": "SELECT name FROM release",
}


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the product is ended on the way out
    shutil.rmtree(PICTURES, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="bw-") as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        with running(Path(folder) / "home", demo=True) as product:
            _await_demo(product)
            page = _signed_in(browser, product)
            _use(page, product)
            pages = addresses(_ids(product))
            for number, address in enumerate(pages, 1):
                print(f"{number} of {len(pages)} {address}", flush=True)
                _take(page, address)
        browser.close()
    print(f"{len(list(PICTURES.rglob('*.png')))} pictures in {PICTURES}")


def _await_demo(product: Product) -> None:
    print("waiting for the demo project", flush=True)
    await_that(lambda: _is_generated(product), within=DEMO_S)  # the last of its steps


def _is_generated(product: Product) -> bool:
    answer = product.request("GET", "/api/v1/projects/demo/runs")
    runs = answer.json()["items"] if answer.status_code == 200 else []
    return any((run["kind"], run["state"]) == ("generate", "completed") for run in runs)


def _signed_in(browser: Browser, product: Product) -> Page:
    page = browser.new_context(base_url=product.url).new_page()
    _take(page, SIGN_IN)
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(product.password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "/password" in address)
    for field in page.locator("input[type=password]").all():
        is_old = field.get_attribute("autocomplete") == "current-password"
        field.fill(product.password if is_old else PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "/password" not in address)
    return page


def _use(page: Page, product: Product) -> None:
    """Some decisions, a disagreement, an audit, a try and a release, so that no page is empty."""
    _disagree(page, product)
    _audit(product)
    tries = "/api/v1/projects/demo/prompts/generate/repair/tries"
    product.finished(product.post(tries, 202, json={}))
    page.set_viewport_size({"width": 1440, "height": 900})
    _take(page, "/review", "review with its guideline")
    page.keyboard.press("Enter")
    for keys in (["a"], ["e", "End", "!", "Control+Enter"], ["x", "2"], ["a"]):
        shown = page.locator("#card").get_attribute("data-instance")
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_selector(f"#card:not([data-instance='{shown}']):focus")
    product.finished(product.post("/api/v1/projects/demo/releases", 202, json={"name": "first"}))
    replay = {"discriminator": "offline"}
    product.finished(product.post("/api/v1/projects/demo/quality/replay-runs", 202, json=replay))


def _disagree(page: Page, product: Product) -> None:
    """Two people read the same instance, one edits it and the other one rejects it."""
    _read_twice(page, percent=100)
    for name, answer in READERS.items():
        product.cli("user", "add", name, "--role", "annotator")
        token = product.cli("token", "create", "--user", name, "--scope", "review").split()[-1]
        reader = replace(product, token=token)
        card = reader.post("/api/v1/projects/demo/review/next").json()
        instance = card["instance"]
        better = instance["solution"].replace("return", "return  # as the comment asks:", 1)
        edits = {"edits": {"solution": better}} if answer["action"] == "edit" else {}
        decision = answer | edits | {"lease": card["lease"]["token"]}
        reader.post(f"/api/v1/instances/{instance['id']}/decisions", 201, json=decision)
    _read_twice(page, percent=0)


def _audit(product: Product) -> None:
    """A lot, and the first of its draws read; one of them is a defect."""
    asked = {"max_defect_rate": 0.05, "alpha": 0.05, "double_share": 0}
    audit_id = product.post("/api/v1/projects/demo/audits", 201, json=asked).json()["id"]
    for draw in range(DRAWS_READ):
        stream = {"stream": "audit", "audit_id": audit_id}
        card = product.post("/api/v1/projects/demo/review/next", json=stream).json()
        wrong = {"action": "reject", "defect": True, "reason": "incorrect"}
        answer = wrong if draw == DRAWS_READ // 3 else {"action": "accept", "defect": False}
        product.post(
            f"/api/v1/instances/{card['instance']['id']}/decisions",
            201,
            json=answer | {"lease": card["lease"]["token"]},
        )


def _read_twice(page: Page, percent: int) -> None:
    page.goto("/settings/reading")
    page.get_by_label("Read by more than one, in percent").fill(str(percent))
    page.get_by_role("button", name="Save").click()


def _ids(product: Product) -> Ids:
    with psycopg.connect(product.record["database_url"].replace("+psycopg", "")) as connection:
        return {name: [row[0] for row in connection.execute(query)] for name, query in ROWS.items()}


def _take(page: Page, address: str, name: str | None = None) -> None:
    name = name or address.strip("/").replace("/", ".").replace("?", " ") or "overview"
    for theme in THEMES:
        page.context.add_cookies([{"name": THEME_COOKIE, "value": theme, "domain": "127.0.0.1", "path": "/"}])
        page.goto(address)
        if "edit=1" in address:
            page.wait_for_selector(".cm-content")  # the code editor is loaded when it is needed
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            page.screenshot(path=PICTURES / f"{width} {theme}" / f"{name}.png", full_page=True)


if __name__ == "__main__":
    main()

"""The product in a thread with a database of its own, and a Chromium to look at it."""

import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import uvicorn
from fastapi import Request
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from sqlalchemy import make_url, text
from sqlalchemy.orm import Session, sessionmaker

from app.accounts.passwords import hash_password
from app.main import create_app
from app.storage.database import make_engine
from app.storage.migrations import migrate
from app.storage.tables import Guideline, Person, Project
from app.web.dependencies import open_session
from tests.browser.real_code import FUNCTIONS, TASKS, make_real_instance
from tests.factories import make_person, make_project, make_run

PASSWORD = "correct horse battery"
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_EXPECTED = re.compile(r"status of 409|net::ERR_FAILED")
GUIDELINE = """# What we keep

An instance is good when **somebody learns from it**: the instruction says what is wanted, the solution does it.

* Accept what you would hand to a colleague.
* Edit small slips; reject what needs a rewrite.
"""


class Product(NamedTuple):
    """A product that serves: where, and its database."""

    address: str
    sessions: sessionmaker[Session]


@pytest.fixture(scope="module")
def product(servers: tuple[str, str], request: pytest.FixtureRequest) -> Iterator[Product]:
    """A fresh database per file of tests."""
    name = f"browser_{request.module.__name__.rpartition('.')[2]}"
    server = make_engine(servers[0], isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    server.dispose()
    url = make_url(servers[0]).set(database=name).render_as_string(hide_password=False)
    engine = make_engine(url)
    migrate(engine)
    sessions = sessionmaker(engine, expire_on_commit=False)
    with _serving(sessions) as address:
        yield Product(address, sessions)
    engine.dispose()


class _serving:
    """The application on a free port, in a thread."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        app = create_app()

        def own_session(request: Request) -> Iterator[Session]:
            with sessions() as session:
                yield session
                if not getattr(request.state, "refused", False):
                    session.commit()

        app.dependency_overrides[open_session] = own_session
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],))

    def __enter__(self) -> str:
        self.thread.start()
        while not self.server.started and self.thread.is_alive():
            time.sleep(0.02)
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()


class Desk(NamedTuple):
    project: Project
    person: Person


@pytest.fixture(scope="module")
def desk(product: Product) -> Desk:
    """A project with instances of the standard library that wait, and a reader with a password."""
    with product.sessions.begin() as session:
        project = make_project(session, name="Standard library", slug="stdlib")
        person = make_person(session, name="ada", password_hash=hash_password(PASSWORD))
        session.add(Guideline(project_id=project.id, version=1, markdown=GUIDELINE))
        run = make_run(session, project)
        for number, function in enumerate(FUNCTIONS):
            make_real_instance(session, project, run, function, task=TASKS[number % len(TASKS)])
    return Desk(project, person)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=CHROMIUM_FLAGS,
        )
        yield browser
        browser.close()


def await_stored(page: Page) -> None:
    """The card that a decision leads to is painted at once; here the server has the decision, too."""
    expect(page.get_by_text("storing", exact=True)).to_have_count(0)


def complaints_of(page: Page) -> list[str]:
    """What its scripts and its console complain about; grows while the page is used.

    A browser writes down every 409 and every request that a test cuts off; those are answers, no faults.
    """
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            complaints.append(f"{message.text} {message.location}")
            if message.type in ("error", "warning") and not _EXPECTED.search(message.text)
            else None
        ),
    )
    return complaints


def editor_of(page: Page, label: str = "Solution") -> Locator:
    """The code editor in place of a field. What is typed stands in the field too: `#text-solution`."""
    return page.get_by_role("textbox", name=label, exact=True).and_(page.locator(".cm-content"))


@pytest.fixture
def page(browser: Browser, product: Product, desk: Desk) -> Iterator[Page]:
    """A signed-in page at 1440 x 900. What its console complains about fails the test."""
    context = browser.new_context(base_url=product.address, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    complaints = complaints_of(page)
    page.goto("/signin?next=/review")
    page.get_by_label("Name").fill(desk.person.name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(product.address + "/review", timeout=10_000)
    yield page
    context.close()
    assert complaints == []

"""A large body is read only from somebody who may send it; everybody else is answered before its first byte."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session, sessionmaker

from app.accounts.sessions import open_session
from app.accounts.tokens import create_token
from app.main import APIS, PAGES, create_app
from app.pipeline import Scope
from app.storage.database import engine as engine_of_the_process
from app.storage.database import session_factory
from app.web.admission import SESSION_COOKIE
from app.web.body_limit import MOST_BYTES, UPLOADS
from tests.factories import make_person, make_project

MEGABYTE = 2**20
FORM = "multipart/form-data; boundary=b"
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
END = b"\r\n--b--\r\n"


class Sent:
    """A request by its parts, and how many bytes of its body were taken until it was answered."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.taken = 0
        self.status = 0
        self.headers: dict[str, str] = {}

    def post(
        self, path: str, length: int, *, announced: bool = True, content_type: str = FORM, **headers: str
    ) -> "Sent":
        """With `announced` its Content-Length is told; otherwise it comes in chunks."""
        framing = ("Content-Length", str(length)) if announced else ("Transfer-Encoding", "chunked")
        given = [("Host", "here"), ("Content-Type", content_type), framing, *headers.items()]
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "headers": [(name.lower().encode(), value.encode()) for name, value in given],
        }
        block = b"x" * MEGABYTE

        async def receive() -> dict[str, Any]:
            start = FILE if content_type == FORM and not self.taken else b""
            piece = (start + block)[: min(MEGABYTE, length - self.taken)]
            self.taken += len(piece)
            if content_type == FORM and self.taken == length:
                piece = piece[: -len(END)] + END
            return {"type": "http.request", "body": piece, "more_body": self.taken < length}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {name.decode(): value.decode() for name, value in message["headers"]}

        asyncio.run(asyncio.wait_for(self.app(scope, receive, send), 60))  # type: ignore[arg-type]
        return self


@pytest.fixture(scope="module")
def served(servers: tuple[str, str]) -> FastAPI:
    return create_app()


@pytest.fixture(scope="module")
def callers(sessions: sessionmaker[Session]) -> Iterator[dict[str, dict[str, str]]]:
    """Headers of callers, by who they are."""
    with sessions.begin() as session:
        make_project(session)
        admin, viewer = make_person(session, role="admin"), make_person(session, role="viewer")
        found = {
            "nobody": {},
            "a made-up token": {"Authorization": "Bearer bw_x"},
            "a made-up cookie": {"Cookie": f"{SESSION_COOKIE}=x"},
        }
        for name, person, scope in (
            ("viewer", viewer, Scope.ADMIN),
            ("reading admin", admin, Scope.READ),
            ("admin", admin, Scope.ADMIN),
        ):
            secret = create_token(session, None, person, name, scope)
            found[name] = {"Authorization": f"Bearer {secret}"}
        found["admin's browser"] = {"Cookie": f"{SESSION_COOKIE}={open_session(session, admin)}"}
        found["viewer's browser"] = {"Cookie": f"{SESSION_COOKIE}={open_session(session, viewer)}"}
    yield found
    engine_of_the_process().dispose()
    engine_of_the_process.cache_clear()
    session_factory.cache_clear()


API, PAGE = "/api/v1/projects/demo/sources", "/sources"


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    ("caller", "path", "status"),
    [
        ("nobody", API, 401),
        ("a made-up token", API, 401),
        ("admin's browser", API, 401),
        ("viewer", API, 403),
        ("reading admin", API, 403),
        ("nobody", PAGE, 303),
        ("a made-up cookie", PAGE, 303),
        ("viewer's browser", PAGE, 403),
        ("a made-up token", "/imports/new", 303),
    ],
)
def test_a_large_file_of_somebody_who_may_not_send_it_is_not_looked_at(
    callers: dict[str, dict[str, str]], caller: str, path: str, status: int, announced: bool, served: FastAPI
) -> None:
    sent = Sent(served).post(path, 300 * MEGABYTE, announced=announced, **callers[caller])

    assert (sent.status, sent.taken) == (status, 0)
    assert sent.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/signin", "/theme", "/review/1/decide", "/nowhere", "/api/v1/projects"])
def test_nobody_sends_much_to_any_other_address(
    callers: dict[str, dict[str, str]], served: FastAPI, path: str
) -> None:
    for content_type in (FORM, "application/json", "application/x-www-form-urlencoded"):
        for announced in (True, False):
            sent = Sent(served).post(path, MEGABYTE, announced=announced, content_type=content_type)

            assert sent.status in (303, 401)
            assert (sent.taken, sent.headers["connection"]) == (0, "close")


def test_an_administrator_uploads_where_files_are_taken_and_nowhere_else(
    callers: dict[str, dict[str, str]], served: FastAPI
) -> None:
    admin, browser = callers["admin"], callers["admin's browser"]
    beyond = MOST_BYTES + 2 * MEGABYTE

    elsewhere = Sent(served).post("/api/v1/projects", beyond, **admin)
    in_chunks = Sent(served).post("/theme", beyond, announced=False, **browser)
    uploaded = Sent(served).post(PAGE, beyond, **browser)

    assert (elsewhere.status, elsewhere.taken) == (413, 0)
    assert (in_chunks.status, in_chunks.headers["connection"]) == (413, "close")
    assert in_chunks.taken < beyond
    assert (uploaded.status, uploaded.taken) == (
        403,
        beyond,
    )  # read to its end, where the form's token is not


def test_every_address_that_takes_a_file_is_known_to_do_so() -> None:
    routes = [route for module in (*PAGES, *APIS) for route in module.router.routes]
    taking = {
        route.path
        for route in routes
        if isinstance(route, APIRoute) and "UploadFile" in str(route.endpoint.__annotations__)
    }

    assert len(taking) == 4
    assert {path for path in taking if not UPLOADS.fullmatch(path)} == set()


def test_a_body_that_does_not_end_is_answered(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.body_limit.MOST_SECONDS", 0.05)
    answered: list[int] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        answered.append(message.get("status", 0))

    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "path": "/api/v1/projects", "raw_path": b"", "query_string": b"",
        "headers": [(b"content-length", b"1000"), (b"content-type", b"application/json")], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    asyncio.run(asyncio.wait_for(app(scope, receive, send), 30))  # type: ignore[arg-type]

    assert answered[0] == 408

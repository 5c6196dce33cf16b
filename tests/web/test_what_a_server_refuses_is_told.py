"""The database refuses is not the database is away; and whatever breaks, the caller gets an answer in their form."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pytest
import redis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.pipeline import Scope
from app.queue import DRAIN, ring
from app.settings import settings
from app.storage.tables import Project
from app.web import body_limit
from app.web.dependencies import DbSession
from tests.factories import make_person, make_project
from tests.web.clients import csrf_token_in, signed_in, visitor, with_token

MEGABYTE = 2**20


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    """With a route on which Postgres itself says what it is asked to say."""

    @app.post("/api/v1/raise/{sqlstate}")
    @app.get("/raise/{sqlstate}")
    def refused(session: DbSession, sqlstate: str) -> None:
        session.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'secret' USING ERRCODE = '{sqlstate}'; END $$"))

    @app.get("/api/v1/execute")
    def execute(session: DbSession, statements: str) -> None:
        for statement in statements.split(";"):
            session.execute(text(statement))

    @app.get("/api/v1/broken")
    def broken() -> None:
        raise RuntimeError("a mistake of ours")

    @app.get("/api/v1/unspeakable")
    def unspeakable() -> None:
        class Unspeakable(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no words")

        raise Unspeakable

    return app


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("FILES_DIR", str(tmp_path / "files"))
    settings.cache_clear()
    yield tmp_path / "files"
    settings.cache_clear()


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def script(session: Session, app: FastAPI, project: Project) -> TestClient:
    return with_token(app, session, make_person(session, role="admin"), Scope.ADMIN)


@contextmanager
def full_disk(most_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond a size, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


REFUSALS = (
    ("53100", 507, "its disk is full", "30"),
    ("53200", 503, "no memory left", "10"),
    ("53300", 503, "no more connections", "5"),
    ("25006", 503, "can be read only", "30"),
    ("55P03", 503, "another session of the database holds", "5"),
    ("57014", 503, "within its time limit", "5"),
    ("57P03", 503, "still starting", "5"),
    ("25P03", 503, "transaction stood open for too long", "5"),
    ("42501", 503, "does not allow this to the role", None),
    ("42P01", 503, "not the tables of this version", None),
    ("42703", 503, "not the tables of this version", None),
    ("XX001", 503, "its files are damaged", None),
    ("58030", 503, "cannot read or write its disk", "30"),
    ("54000", 422, "longer or deeper", None),
)


def test_each_refusal_of_the_database_has_its_own_words(app: FastAPI) -> None:
    anybody = visitor(app)
    for sqlstate, status, says, retry_after in REFUSALS:
        answer = anybody.post(f"/api/v1/raise/{sqlstate}")
        page = anybody.get(f"/raise/{sqlstate}")

        assert (answer.status_code, page.status_code) == (status, status), sqlstate
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers.get("Retry-After") == page.headers.get("Retry-After") == retry_after
        assert says in answer.json()["detail"]
        assert says in page.text
        assert "does not answer" not in answer.text + page.text
        assert "secret" not in answer.text + page.text


def test_what_no_server_refuses_stays_a_fault_of_ours(app: FastAPI) -> None:
    assert visitor(app).post("/api/v1/raise/P0001").status_code == 500
    assert visitor(app).get("/api/v1/execute", params={"statements": "SELECT FROM FROM"}).status_code == 500


def test_the_real_thing_reads_the_same(app: FastAPI) -> None:
    for statements, says in (
        ("SET TRANSACTION READ ONLY; DELETE FROM worker", "read only"),
        ("SET LOCAL statement_timeout = 20; SELECT pg_sleep(5)", "time limit"),
        ("SET LOCAL ROLE pg_monitor; DELETE FROM person", "does not allow"),
        ("SELECT * FROM nowhere", "not the tables of this version"),
    ):
        answer = visitor(app).get("/api/v1/execute", params={"statements": f"SAVEPOINT here; {statements}"})

        assert (answer.status_code, says in answer.json()["detail"]) == (503, True), answer.text


@pytest.mark.parametrize("path", ["/api/v1/broken", "/api/v1/unspeakable"])
def test_the_last_net_holds_when_the_log_cannot_be_written(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    full = open("/dev/full", "w", buffering=1)  # noqa: SIM115 - it cannot be closed without an error either
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", full)
        answer = visitor(app).get(path)
    with suppress(OSError):
        full.close()

    assert answer.status_code == answer.json()["status"] == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-Id"] in answer.json()["detail"]


def test_a_page_that_cannot_even_say_that_it_broke_is_answered(app: FastAPI) -> None:
    app.state.renderers = None
    browser = visitor(app)
    browser.cookies.set("breakwater_message", "[" * 2000)

    answer = browser.get("/raise/P0001")

    assert answer.status_code == 500
    assert answer.headers["X-Request-Id"] in answer.text


@pytest.fixture
def known(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends a large body is looked up in a session beside the request's, which sees nothing uncommitted."""
    monkeypatch.setattr(body_limit, "session_factory", lambda: lambda: nullcontext(session))


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("size", [100_000, 3 * MEGABYTE])
def test_an_upload_onto_a_full_disk_says_so_and_leaves_nothing(
    script: TestClient, project: Project, files: Path, size: int
) -> None:
    """The larger one is spooled to the temporary folder first, which is full, too."""
    with full_disk(50_000):
        answer = script.post(
            f"/api/v1/projects/{project.slug}/sources", files={"file": ("rows.jsonl", b"x" * size)}
        )

    assert (answer.status_code, answer.headers["Content-Type"]) == (507, "application/problem+json")
    assert "disk for files is full" in answer.json()["detail"]
    assert [path for path in files.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("known")
def test_an_upload_on_a_page_onto_a_full_disk_says_so(
    session: Session, app: FastAPI, project: Project, files: Path
) -> None:
    browser = signed_in(app, session, make_person(session, role="admin"))

    for path in ("/sources", "/imports/new"):
        for size in (100_000, 3 * MEGABYTE):
            with full_disk(50_000):
                answer = browser.post(path, files={"file": ("rows.jsonl", b"x" * size)})
            assert (answer.status_code, "The disk for files is full" in answer.text) == (507, True), path


def test_a_folder_for_files_that_is_none_is_said(
    script: TestClient, project: Project, files: Path, app: FastAPI
) -> None:
    files.write_text("")

    answer = script.post(f"/api/v1/projects/{project.slug}/sources", files={"file": ("rows.jsonl", b"{}")})

    assert answer.status_code == 503
    assert "FILES_DIR" in answer.json()["detail"]
    assert visitor(app).get("/readyz").json()["checks"]["files"] == "FILES_DIR is not a folder"


def test_readyz_writes_a_file_before_it_says_that_files_can_be_kept(app: FastAPI, files: Path) -> None:
    well = visitor(app).get("/readyz").json()["checks"]["files"]
    with full_disk(10_000):
        full = visitor(app).get("/readyz")

    assert well == "ok"
    assert full.status_code == 503
    assert "disk for files is full" in full.json()["checks"]["files"]
    assert list(files.iterdir()) == []


def test_a_redis_that_refuses_to_be_written_to_is_named_and_costs_no_request(
    app: FastAPI, servers: tuple[str, str]
) -> None:
    with redis.Redis.from_url(servers[1]) as client:
        client.config_set("maxmemory", 1)
        try:
            ring(DRAIN)  # it must not raise: what it is about is committed already
            checks = visitor(app).get("/readyz").json()["checks"]
        finally:
            client.config_set("maxmemory", 0)

    assert "out of memory" in checks["redis"]
    assert "ok" in visitor(app).get("/readyz").json()["checks"]["redis"]


def test_over_plain_http_in_production_the_sign_in_page_says_that_https_is_needed(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("BREAKWATER_ENV", "production")
        settings.cache_clear()
        page = visitor(app).get("/signin")
        form = {"name": "ada", "password": "x", "csrf_token": csrf_token_in(page)}
        sent = visitor(app).post("/signin", data=form)
        behind_a_proxy = visitor(app).get("/signin", headers={"X-Forwarded-Proto": "https"})
        where_cookies_work = visitor(app).get("/signin", headers={"Sec-Fetch-Site": "none"})
    settings.cache_clear()

    assert "over https only" in page.text
    assert (sent.status_code, "over https only" in sent.text) == (403, True)
    assert "reload the page" not in sent.text
    assert "over https only" not in behind_a_proxy.text + where_cookies_work.text
    assert "over https only" not in visitor(app).get("/signin").text

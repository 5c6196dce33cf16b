"""Many requests at once, as scripts, browsers and strangers send them: all are answered, whatever they wait for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.accounts.sessions import SEEN_EVERY, open_session
from app.accounts.tokens import USED_EVERY, create_token
from app.main import create_app
from app.pipeline import Scope
from app.storage.database import engine as engine_of_the_process
from app.storage.database import session_factory
from app.storage.tables import ApiToken, SignIn
from app.web.admission import SESSION_COOKIE
from tests.factories import make_person, make_project

PATIENCE_S = 60  # only what never ends takes as long


class Asked(NamedTuple):
    app: FastAPI
    token: dict[str, str]  # a header
    cookie: dict[str, str]


@pytest.fixture(scope="module")
def somebody(sessions: sessionmaker[Session]) -> Iterator[Asked]:
    """The application as it is served, and who asks it."""
    with sessions.begin() as session:
        make_project(session)
        person = make_person(session, role="viewer")
        token = create_token(session, None, person, "script", Scope.READ)
        cookie = open_session(session, person)
    yield Asked(create_app(), {"Authorization": f"Bearer {token}"}, {"Cookie": f"{SESSION_COOKIE}={cookie}"})
    engine_of_the_process().dispose()
    engine_of_the_process.cache_clear()
    session_factory.cache_clear()


@pytest.fixture
def asked(somebody: Asked, sessions: sessionmaker[Session]) -> Asked:
    """Somebody who was not here for a while."""
    with sessions.begin() as session:
        session.execute(update(ApiToken).values(last_used_at=func.now() - 2 * USED_EVERY))
        session.execute(update(SignIn).values(last_seen_at=func.now() - 2 * SEEN_EVERY))
    return somebody


def together(app: FastAPI, *asks: Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]) -> list[int]:
    """The statuses of requests that are sent in the same moment."""

    async def sent() -> list[int]:
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
            async with asyncio.timeout(PATIENCE_S):
                return [answer.status_code for answer in await asyncio.gather(*[ask(client) for ask in asks])]

    return asyncio.run(sent())


def get(path: str, headers: dict[str, str]) -> Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]:
    return lambda client: client.get(path, headers=headers)


def test_a_parallel_script_gets_its_answers_and_its_token_a_stamp(
    asked: Asked, sessions: sessionmaker[Session]
) -> None:
    statuses = together(asked.app, *[get("/api/v1/me", asked.token)] * 45)

    assert statuses == [200] * 45
    with sessions() as session:
        assert session.scalars(select(ApiToken.last_used_at > func.now() - USED_EVERY)).one()


def test_a_browser_with_many_tabs_gets_its_pages_and_is_seen(
    asked: Asked, sessions: sessionmaker[Session]
) -> None:
    statuses = together(asked.app, *[get("/password", asked.cookie)] * 60)

    assert statuses == [200] * 60
    with sessions() as session:
        assert session.scalars(select(SignIn.last_seen_at > func.now() - SEEN_EVERY)).one()


def test_strangers_with_made_up_cookies_get_the_sign_in_page(asked: Asked) -> None:
    made_up = [get("/signin", {"Cookie": f"{SESSION_COOKIE}=bogus{number}"}) for number in range(150)]

    assert together(asked.app, *made_up) == [200] * 150


def test_a_locked_stamp_is_left_alone(asked: Asked, sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as other:
        other.execute(update(ApiToken).values(last_used_at=func.now()))
        other.execute(update(SignIn).values(last_seen_at=func.now()))

        statuses = together(asked.app, get("/api/v1/me", asked.token), get("/password", asked.cookie))

    assert statuses == [200, 200]

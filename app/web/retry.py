"""Requests that lost a race in the database are done again, from the beginning and in a transaction of their own.

Who lost has found a name taken, a row gone or a lock that goes in a circle only after it had looked. Done again, it
finds what the winner left and says so in the words of its own check, as if it had come a moment later.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from psycopg import errors
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError
from starlette.datastructures import UploadFile

_log = structlog.get_logger()

MOST_TRIES = 4
LONGEST_PAUSE_S = 0.05  # before the second try; twice that before each one after it
LOST = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.UniqueViolation,
    errors.ForeignKeyViolation,
)
GONE = (StaleDataError, ObjectDeletedError)  # a row that this request had read, and somebody deleted

Answering = Callable[[Request], Coroutine[Any, Any, Response]]


def has_lost(error: Exception) -> bool:
    """Whether another request was faster, so that trying again may end otherwise."""
    return isinstance(error, GONE) or (isinstance(error, DBAPIError) and isinstance(error.orig, LOST))


class RetriedRoute(APIRoute):
    """A route that is answered again where its answer lost a race."""

    def get_route_handler(self) -> Answering:
        answer = self.get_answer()

        async def answer_again(request: Request) -> Response:
            state = dict(request.scope.setdefault("state", {}))
            for tried in range(1, MOST_TRIES):
                try:
                    return await _in_own_transaction(answer, request)
                except (DBAPIError, *GONE) as error:
                    if not has_lost(error):
                        raise
                    _log.info("lost_a_race", path=request.url.path, tried=tried, error=str(error))
                await asyncio.sleep(random.uniform(0, LONGEST_PAUSE_S) * 2 ** (tried - 1))
                request.scope["state"].clear()
                request.scope["state"].update(state)
                await _rewind(request)
            return await _in_own_transaction(answer, request)

        return answer_again

    def get_answer(self) -> Answering:
        """What happens in the transaction of one try."""
        return super().get_route_handler()


async def _in_own_transaction(answer: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    """Answer, and end what the route's dependencies began: a commit that loses has lost this try, too."""
    async with AsyncExitStack() as begun:
        request.scope["fastapi_function_astack"] = (
            begun  # where FastAPI puts dependencies of scope "function"
        )
        return await answer(request)


async def _rewind(request: Request) -> None:
    """Bodies and forms are kept by Starlette, files have been read to their end."""
    if request.headers.get("Content-Type", "").startswith("multipart/form-data"):
        for _, value in (await request.form()).multi_items():
            if isinstance(value, UploadFile):
                await value.seek(0)


def page_router(**options: Any) -> APIRouter:
    """A router of pages."""
    return APIRouter(route_class=RetriedRoute, **options)

"""POSTs with an `Idempotency-Key` are answered once: the same request again gets the answer that was kept.

The answer is kept in the transaction that did the work, so that there is never one without the other. The
key is locked for as long as that transaction lasts: a second request meanwhile is told so (409). Another
request under the same key is refused (422). Refused requests changed nothing and leave the key free.
"""

import base64
import hashlib
import json
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Header, Request, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.errors import Conflict, InvalidInput
from app.storage.tables import IdempotencyKey
from app.web.dependencies import ApiCaller, DbSession
from app.web.json_body import JsonRequest
from app.web.problem import REFUSALS
from app.web.retry import Answering, RetriedRoute

KEPT_HEADERS = ("content-type", "location", "etag", "x-reason")
MOST_KEY_CHARACTERS = 255
CHUNK_BYTES = 2**20


class KeptAnswer(Exception):
    """Carries the answer of the first request past the route."""

    def __init__(self, row: IdempotencyKey) -> None:
        super().__init__(row.key)
        headers = {**(row.headers or {}), "Idempotent-Replay": "true"}
        self.response = Response(base64.b64decode(row.body or ""), row.status or 200, headers)


class _Claim(NamedTuple):
    session: Session
    person_id: int
    key: str
    request_hash: str


def claim_key(
    request: Request,
    session: DbSession,
    caller: ApiCaller,
    key: Annotated[
        str | None,
        Header(alias="Idempotency-Key", description="Any text of yours; the same POST again changes nothing"),
    ] = None,
) -> None:
    """Lock the key for this request, or answer from what is kept."""
    if request.method != "POST" or key is None:
        return
    if not 0 < len(key) <= MOST_KEY_CHARACTERS:
        raise InvalidInput(f"Idempotency-Key takes 1 to {MOST_KEY_CHARACTERS} characters", "Idempotency-Key")
    claim = _Claim(session, caller.person.id, key, request.state.request_hash)
    if not session.scalar(select(func.pg_try_advisory_xact_lock(lock_of(claim.person_id, key)))):
        raise Conflict("a request under this Idempotency-Key is being answered right now; ask again later")
    kept = session.scalars(
        select(IdempotencyKey).where(IdempotencyKey.person_id == claim.person_id, IdempotencyKey.key == key)
    ).one_or_none()
    if kept is None:
        request.state.idempotency = claim
    elif kept.request_hash == claim.request_hash:
        raise KeptAnswer(kept)
    else:
        raise InvalidInput("this Idempotency-Key was used for another request", "Idempotency-Key")


def lock_of(person_id: int, key: str) -> int:
    """The number that Postgres locks for one person's key."""
    return int.from_bytes(hashlib.sha256(f"{person_id} {key}".encode()).digest()[:8], signed=True)


def _keep(claim: _Claim, response: Response) -> None:
    claim.session.add(
        IdempotencyKey(
            person_id=claim.person_id,
            key=claim.key,
            request_hash=claim.request_hash,
            status=response.status_code,
            headers={name: response.headers[name] for name in KEPT_HEADERS if name in response.headers},
            body=base64.b64encode(bytes(response.body)).decode(),
        )
    )
    claim.session.flush()


class ApiRoute(RetriedRoute):
    """A route whose JSON is bounded, and whose successful POST is kept before its session commits."""

    def get_route_handler(self) -> Answering:
        answer_again = super().get_route_handler()

        async def answer_json(asked: Request) -> Response:
            return await answer_again(JsonRequest(asked.scope, asked.receive))

        return answer_json

    def get_answer(self) -> Answering:
        answer = super().get_answer()

        async def answer_once(request: Request) -> Response:
            if request.method == "POST" and "Idempotency-Key" in request.headers:
                request.state.request_hash = await _hash_of(request)
            try:
                response = await answer(request)
            except KeptAnswer as kept:
                return kept.response
            claim = getattr(request.state, "idempotency", None)
            if claim is not None and response.status_code < 400:
                await run_in_threadpool(_keep, claim, response)
            return response

        return answer_once


async def _hash_of(request: Request) -> str:
    """SHA-256 of what is asked: the address and the body (of a form its fields, as boundaries vary)."""
    found = hashlib.sha256(f"{request.url.path}?{request.url.query}\n".encode())
    if not request.headers.get("Content-Type", "").startswith("multipart/form-data"):
        found.update(await request.body())
        return found.hexdigest()
    for name, value in (await request.form()).multi_items():
        if isinstance(value, str):
            found.update(json.dumps([name, value]).encode())
            continue
        found.update(json.dumps([name, value.filename, value.size]).encode())
        await _hash_file(found, value)
    return found.hexdigest()


async def _hash_file(found: Any, file: Any) -> None:
    while chunk := await file.read(CHUNK_BYTES):
        found.update(chunk)
    await file.seek(0)


def api_router(**options: Any) -> APIRouter:
    """A router below `/api/v1` for people who sent a token."""
    return APIRouter(
        prefix="/api/v1",
        route_class=ApiRoute,
        dependencies=[Depends(claim_key)],
        responses=REFUSALS,
        **options,
    )

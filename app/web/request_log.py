"""One log line per request, under a number that every line meanwhile carries; the last net for errors."""

import re
import secrets
import time

import structlog
from prometheus_client import Histogram
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.errors import BROKEN, TITLES, Refusal, answer

_log = structlog.get_logger()
_GIVEN = re.compile(r"[\w.:-]{1,64}")
REQUESTS = Histogram(
    "breakwater_request_seconds",
    "Time from the first line of a request to the last byte of its answer",
    ("method", "route", "status"),
    buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestLog:
    """Takes `X-Request-Id` from a proxy or makes one, and gives it back with the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _GIVEN.fullmatch(given) else secrets.token_hex(8)
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            except Exception:  # the entry point: whatever it is, it is logged and answered
                _say_broken(request)
                if status:
                    raise  # half of the answer is out: the connection has to break
                await _broken(request, f"{BROKEN} {request_id}")(scope, receive, send_with_id)
            seconds = time.perf_counter() - started
            REQUESTS.labels(request.method, _route_of(scope), status).observe(seconds)
            if request.url.path not in QUIET and not request.url.path.startswith("/static/"):
                _log.info(
                    "request",
                    method=request.method,
                    path=request.url.path,
                    status=status,
                    took_ms=round(seconds * 1000, 1),
                )


def _say_broken(request: Request) -> None:
    try:
        _log.exception("request_broke", method=request.method, path=request.url.path)
    except Exception:  # noqa: BLE001 - an error whose words or trace cannot be made must not lose the answer, too
        _log.error("request_broke", method=request.method, path=request.url.path, trace="cannot be told")


def _broken(request: Request, detail: str) -> Response:
    """The answer, and where even that breaks one that is made of nothing."""
    try:
        return answer(request, Refusal(500, detail))
    except Exception:  # noqa: BLE001 - the page of errors itself may be what is broken
        _say_broken(request)
        if request.url.path.startswith("/api/"):
            problem = {
                "type": "about:blank",
                "title": "Internal Server Error",
                "status": 500,
                "detail": detail,
            }
            return JSONResponse(problem, 500, media_type="application/problem+json")
        return HTMLResponse(
            f"<!doctype html><title>{TITLES[500]}</title><h1>{TITLES[500]}</h1><p>{detail}</p>", 500
        )


def _route_of(scope: Scope) -> str:
    """The pattern of the address, so that a number in it does not make a new series."""
    return str(getattr(scope.get("route"), "path", "other"))

"""Odd answers of OpenAI-compatible servers as data: what providers document, and what people report of them.

`tests.llm_server` gives them to the models that `Behaviour.modes` names; every other model is answered well beside.
"""

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

Body = dict[str, Any]


class Odd(NamedTuple):
    """One answer. Without `body` the good reply is sent, changed by `change`."""

    status: int = 200
    body: Any = None  # JSON, or bytes that are sent as they are
    headers: Callable[[], dict[str, str]] = dict
    change: Callable[[Body, Body], None] | None = None  # (reply, request)
    padding: bytes = b""  # before the reply
    drips: bool = False  # one byte every `drip_s`


def _error(status: int, message: str, code: object = None, wait: Callable[[], str] | None = None) -> Odd:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return Odd(status, body, headers=lambda: {"retry-after": wait()} if wait else {})


def _too_many(wait: Callable[[], str]) -> Odd:
    return _error(429, "Rate limit exceeded", "rate_limit_exceeded", wait)


def _usage(usage: object) -> Odd:
    return Odd(change=lambda reply, _: reply.update(usage=usage))


def _says(text: str, finish: str, **more: str) -> Odd:
    def change(reply: Body, _: Body) -> None:
        message = {"role": "assistant", "content": text, **more}
        reply["choices"] = [{"index": 0, "finish_reason": finish, "message": message}]

    return Odd(change=change)


def _in_20_s(unit: float) -> Callable[[], str]:
    return lambda: str(int((time.time() + 20) * unit))


def _cut_context(reply: Body, _: Body) -> None:
    reply["usage"]["prompt_tokens"] = 2047


_CONTEXT = "This model's maximum context length is 2048 tokens. However, you requested 4096 tokens."
_NO_BALANCE = "Your credit balance is too low to access the API."
_EXTRA = {"detail": [{"type": "extra_forbidden", "loc": ["body", "response_format"], "msg": "Extra inputs"}]}

ODD: dict[str, Odd] = {
    "usage_null": _usage(None),
    "usage_zero": _usage({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
    "usage_empty": _usage({}),
    "usage_absurd": _usage({"prompt_tokens": 1e300, "completion_tokens": 10**30}),
    "wrong_model_echo": Odd(change=lambda reply, _: reply.update(model="other-model-2026")),
    "ctx_400": _error(400, _CONTEXT, 400),
    "422_schema": Odd(422, _EXTRA),
    "400_key": _error(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT"),
    "400_billing": _error(400, _NO_BALANCE),
    "405": Odd(405, {"detail": "Method Not Allowed"}),
    "html_200": Odd(200, b"<!doctype html><html><title>Sign in</title></html>"),
    "retry_epoch": _too_many(_in_20_s(1)),
    "retry_epoch_ms": _too_many(_in_20_s(1e3)),
    "retry_epoch_us": _too_many(_in_20_s(1e6)),
    "retry_inf": _too_many(lambda: "inf"),
    "retry_1e300": _too_many(lambda: "1e300"),
    "retry_503_day": _error(503, "Overloaded", "overloaded", lambda: "86400"),
    "retry_none": _error(429, "Rate limit exceeded", "rate_limit_exceeded"),
    "max_tokens": _error(400, "Unsupported parameter: 'max_tokens'", "unsupported_parameter"),
    "no_schema": _error(400, "This response_format type is unavailable now", "invalid_request_error"),
    "402": _error(402, "Insufficient Balance", "invalid_request_error"),
    "402_in_200": Odd(200, {"error": {"message": "Insufficient credits", "code": 402}, "user_id": "u"}),
    "empty": _says("", "stop"),
    "length_think": _says("", "length", reasoning_content="Let me think. " * 400),
    "echo_key": _error(401, "Incorrect API key provided: Bearer test", "invalid_api_key"),
    "retry_3600": _too_many(lambda: "3600"),
    "html_502": Odd(502, b"<html><h1>502 Bad Gateway</h1></html>"),
    "ctx_cut": Odd(change=_cut_context),
    "keepalive": Odd(padding=b"\n" * 200),
    "drip": Odd(drips=True),
    "repeat_loop": _says('{"task_name": "code generation", "instruction": "' + "sort " * 6000, "length"),
    "no_v1": Odd(404, b"404 page not found"),
    "overloaded_529": _error(529, "Overloaded", "overloaded_error"),
    "deep_json": Odd(200, b"[" * 100_000),
    "huge_number": Odd(200, b'{"choices": ' + b"9" * 10_000 + b"}"),
    "endless": Odd(200, b'{"choices": "' + b"x" * 8_000_000 + b'"}'),
}


def odd_answer(mode: str, reply: Body, request: Body) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and further headers of an odd answer instead of `reply`."""
    odd = ODD[mode]
    if odd.change is not None:
        odd.change(reply, request)
    body = reply if odd.body is None else odd.body
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return odd.status, odd.padding + raw, odd.headers()

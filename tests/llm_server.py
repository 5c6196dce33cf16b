"""An OpenAI-compatible server of our own: real HTTP, set latency, set faults, and its own count of calls.

    python -m tests.llm_server --port 0 --latency 0.2 --errors 0.05 --unusable 0.05

It answers any strict JSON schema; for ours it writes instances and verdicts that can pass. Which calls go wrong is
drawn from the seed and the number of the call. Prints `listening http://127.0.0.1:PORT/v1`.

    POST /v1/chat/completions
    GET  /stats[?times=1]   counts, latency; with `times` when each call was answered (seconds since the epoch)
    GET  /seen              the last 1,000 request bodies
    GET  /asked             of every call the SHA-256 of its messages, as `hash_of_messages` makes it
    POST /behave            {latency_s, errors, error_kinds, unusable, ...}: any setting of `Behaviour`
    POST /storm             {seconds, retry_after_s?}: every call is answered 429 for so long
    POST /reset             all counts to zero

Standard library only, one asyncio protocol and no task per call: it shares two cores with what it measures.
"""

import argparse
import asyncio
import hashlib
import json
import random
import re
import signal
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from tests.odd_replies import ODD, odd_answer

ERRORS = ("500", "503", "429", "429 with Retry-After", "reset", "cut JSON", "200 with an error")
"""Faults that are drawn unless `error_kinds` names others. On request only: `reset before`, `slow`, `400`, and
those after which no call can succeed (`401`, `404`, `insufficient_quota`)."""
UNUSABLE = ("empty", "prose", "refusal", "cut off", "missing key")

_REFUSED = {  # kind: status, error code, message
    "401": (401, "invalid_api_key", "Incorrect API key provided"),
    "404": (404, "model_not_found", "The model does not exist"),
    "insufficient_quota": (429, "insufficient_quota", "You exceeded your current quota"),
    "400": (400, "context_length_exceeded", "This model's maximum context length is 8192 tokens"),
    "429": (429, "rate_limit_exceeded", "Slow down"),
    "429 with Retry-After": (429, "rate_limit_exceeded", "Slow down"),
    "500": (500, "server_error", "Try again"),
    "503": (503, "server_error", "Try again"),
}
_STRAY_RETRY_AFTER_S = 0.2
_SEEN = 1000


@dataclass
class Counts:
    """What happened so far. Latency is from the request read to the reply written."""

    calls: int = 0
    answered: int = 0  # with a billable reply, also to a client that had gone meanwhile: providers bill those
    abandoned: int = 0  # of these, to a client that had gone
    duplicates: int = 0  # answered though the same (model, messages) had had a usable reply: paid twice
    in_flight: int = 0
    most_in_flight: int = 0
    latency_sum_s: float = 0.0
    sent: Counter[str] = field(default_factory=Counter)  # replies by kind
    finished: list[float] = field(
        default_factory=list
    )  # when each call was answered, seconds since the epoch
    seen: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_SEEN))
    asked: list[str] = field(default_factory=list)  # SHA-256 of the messages of each call, in order
    usable: set[bytes] = field(default_factory=set)  # hashes of the requests that got a usable reply

    def summary(self, *, times: bool) -> dict[str, Any]:
        names = ("calls", "answered", "abandoned", "duplicates", "in_flight", "most_in_flight")
        said: dict[str, Any] = {name: getattr(self, name) for name in names}
        said["sent"] = dict(self.sent)
        said["mean_latency_s"] = self.latency_sum_s / len(self.finished) if self.finished else 0.0
        return said | ({"finished": self.finished} if times else {})


@dataclass
class Behaviour(Counts):
    """How to answer, changeable at any time, beside the counts. Kinds are names from the lists above."""

    latency_s: float = field(default=0.0, kw_only=True)
    errors: float = field(default=0.0, kw_only=True)  # share of calls that bring no reply
    error_kinds: tuple[str, ...] = field(default=(), kw_only=True)  # without: ERRORS
    unusable: float = field(default=0.0, kw_only=True)  # share of calls whose reply cannot be used
    unusable_kinds: tuple[str, ...] = field(default=(), kw_only=True)  # without: UNUSABLE
    verdict_no: float = field(default=0.2, kw_only=True)  # share of verdicts with a "no"
    refuse_with: str = field(default="", kw_only=True)  # kind of error for every call from `refuse_from` on
    refuse_from: int = field(default=1, kw_only=True)
    slow_s: float = field(default=300.0, kw_only=True)  # how long a `slow` reply drips before it breaks off
    drip_s: float = field(default=0.5, kw_only=True)  # between its bytes
    requests_per_minute: int = field(default=0, kw_only=True)  # in any 60 s; 0: no limit
    seed: int = field(default=0, kw_only=True)
    modes: dict[str, str] = field(default_factory=dict, kw_only=True)  # model -> see `tests.odd_replies`
    storm_until: float = field(default=0.0, kw_only=True)  # by the monotonic clock
    storm_retry_after_s: float | None = field(default=None, kw_only=True)
    admitted: deque[float] = field(default_factory=deque, kw_only=True)  # the calls of the last minute

    def reset(self) -> None:
        """All counts to zero; the calls in flight stay in flight."""
        in_flight = self.in_flight
        Counts.__init__(self, in_flight=in_flight, most_in_flight=in_flight)

    def behave(self, **settings: Any) -> None:
        known = {one.name for one in fields(Behaviour)} - {one.name for one in fields(Counts)}
        if unknown := settings.keys() - known:
            raise ValueError(f"no such setting: {', '.join(sorted(unknown))}")
        for name, value in settings.items():
            setattr(self, name, tuple(value) if isinstance(value, list) else value)

    def storm(self, seconds: float, retry_after_s: float | None = None) -> None:
        """Answer every call 429 for so long."""
        self.storm_until = time.monotonic() + seconds
        self.storm_retry_after_s = retry_after_s


class _Plan(NamedTuple):
    """What one call is to get."""

    kind: str  # fine, or a kind of error or of unusable reply
    is_reply: bool = True  # billable
    retry_after_s: float | None = None
    is_odd: bool = False  # see `tests.odd_replies`


def _plan(behaviour: Behaviour, body: dict[str, Any], key: str, draw: random.Random) -> _Plan:
    if (mode := behaviour.modes.get(body["model"])) is not None:
        return _Plan(mode, is_odd=True)
    if refused := _refused_at_the_door(behaviour, body["model"], key):
        return refused
    luck = draw.random()
    if luck < behaviour.errors:
        kind = draw.choice(behaviour.error_kinds or ERRORS)
        wait = _STRAY_RETRY_AFTER_S if kind == "429 with Retry-After" else None
        return _Plan(kind, is_reply=False, retry_after_s=wait)
    if luck < behaviour.errors + behaviour.unusable:
        return _Plan(draw.choice(behaviour.unusable_kinds or UNUSABLE))
    return _Plan("fine")


def _refused_at_the_door(behaviour: Behaviour, model: str, key: str) -> _Plan | None:
    now = time.monotonic()
    kind, wait = "", None
    if key == "Bearer wrong":
        kind = "401"
    elif model == "no-such-model":
        kind = "404"
    elif behaviour.refuse_with and behaviour.calls >= behaviour.refuse_from:
        kind = behaviour.refuse_with
    elif now < behaviour.storm_until:
        kind, wait = "429", behaviour.storm_retry_after_s
    elif (wait := _over_the_limit(behaviour, now)) is not None:
        kind = "429"
    return _Plan(kind, is_reply=False, retry_after_s=wait) if kind else None


def _over_the_limit(behaviour: Behaviour, now: float) -> float | None:
    """Admit a call; or the seconds until one is admitted again."""
    if not behaviour.requests_per_minute:
        return None
    admitted = behaviour.admitted
    while admitted and admitted[0] <= now - 60:
        admitted.popleft()
    if len(admitted) >= behaviour.requests_per_minute:
        return round(admitted[0] + 60 - now, 3)
    admitted.append(now)
    return None


# --- HTTP -------------------------------------------------------------------------------------------------

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
_HALF = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"choices": [{"mess'


def _http(status: int, body: bytes, more: str = "") -> bytes:
    reason = _REASONS.get(status, "Error")
    head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def _json(value: object, status: int = 200, more: str = "") -> bytes:
    return _http(status, json.dumps(value).encode(), more)


class _Connection(asyncio.Protocol):
    """One keep-alive connection: one request at a time, answered by a timer."""

    def __init__(
        self, behaviour: Behaviour, loop: asyncio.AbstractEventLoop, open_ones: set[asyncio.Transport]
    ) -> None:
        self._behaviour = behaviour
        self._loop = loop
        self._open_ones = open_ones
        self._buffer = b""
        self._is_busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open_ones.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_ones.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._read()

    def _read(self) -> None:
        head_end = self._buffer.find(b"\r\n\r\n")
        if self._is_busy or head_end < 0:
            return
        first, *lines = self._buffer[:head_end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        end = head_end + 4 + int(headers.get("content-length", "0"))
        if len(self._buffer) < end:
            return
        body, self._buffer = self._buffer[head_end + 4 : end], self._buffer[end:]
        method, target, _ = first.split(" ")
        if target == "/v1/chat/completions":
            self._is_busy = True
            self._ask(json.loads(body), headers.get("authorization", ""))
        else:
            self._transport.write(_control(self._behaviour, method, target, body))
            self._read()

    def _ask(self, body: dict[str, Any], key: str) -> None:
        behaviour = self._behaviour
        behaviour.calls += 1
        behaviour.in_flight += 1
        behaviour.most_in_flight = max(behaviour.most_in_flight, behaviour.in_flight)
        behaviour.seen.append(body)
        behaviour.asked.append(hash_of_messages(body["messages"]))
        draw = random.Random(f"{behaviour.seed} {behaviour.calls}")
        plan = _plan(behaviour, body, key, draw)
        started = time.monotonic()
        self._loop.call_later(behaviour.latency_s, self._answer, body, plan, draw, started)

    def _answer(self, body: dict[str, Any], plan: _Plan, draw: random.Random, started: float) -> None:
        if plan.kind == "slow" and not self._drip(started):
            self._loop.call_later(self._behaviour.drip_s, self._answer, body, plan, draw, started)
            return
        if plan.is_odd:
            self._answer_oddly(body, plan, draw, started)
            return
        if plan.is_reply:
            self._count_reply(body, plan.kind)
            self._transport.write(_json(_completion(body, plan.kind, draw, self._behaviour.verdict_no)))
        elif plan.kind in ("reset", "cut JSON", "reset before", "slow"):
            self._break_off(plan.kind)
        else:
            self._transport.write(_error(plan))
        self._done(plan.kind, started)

    def _answer_oddly(self, body: dict[str, Any], plan: _Plan, draw: random.Random, started: float) -> None:
        reply = _completion(body, "fine", draw, self._behaviour.verdict_no)
        status, answer, headers = odd_answer(plan.kind, reply, body)
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        raw = _http(status, answer, more)
        if ODD[plan.kind].drips:
            head = raw.index(b"\r\n\r\n") + 4
            self._transport.write(raw[:head])
            self._drop_by_drop(raw[head:], plan.kind, started)
            return
        self._transport.write(raw)
        self._done(plan.kind, started)

    def _drop_by_drop(self, rest: bytes, kind: str, started: float) -> None:
        if self._transport.is_closing() or not rest:
            self._done(kind, started)
            return
        self._transport.write(rest[:1])
        self._loop.call_later(self._behaviour.drip_s, self._drop_by_drop, rest[1:], kind, started)

    def _done(self, kind: str, started: float) -> None:
        self._count(kind, started)
        self._is_busy = False
        self._read()

    def _drip(self, started: float) -> bool:
        """Send the next byte of a reply that never ends; True when it has lasted long enough."""
        first = time.monotonic() - started < self._behaviour.latency_s + self._behaviour.drip_s
        self._transport.write(_HALF[:-18] if first else b" ")
        return self._transport.is_closing() or time.monotonic() - started >= self._behaviour.slow_s

    def _break_off(self, kind: str) -> None:
        if kind == "cut JSON":
            self._transport.write(_http(200, b'{"choices": [{"mess'))
        elif kind == "reset":
            self._transport.write(_HALF)
            self._transport.close()
        else:
            self._transport.abort()

    def _count_reply(self, body: dict[str, Any], kind: str) -> None:
        behaviour = self._behaviour
        behaviour.answered += 1
        behaviour.abandoned += self._transport.is_closing()
        asked = hashlib.blake2b(_text_of(body).encode(), digest_size=16).digest()
        behaviour.duplicates += asked in behaviour.usable
        if kind == "fine":
            behaviour.usable.add(asked)

    def _count(self, kind: str, started: float) -> None:
        behaviour = self._behaviour
        behaviour.in_flight -= 1
        behaviour.sent[kind] += 1
        behaviour.finished.append(time.time())
        behaviour.latency_sum_s += time.monotonic() - started


def _control(behaviour: Behaviour, method: str, target: str, body: bytes) -> bytes:
    path, _, query = target.partition("?")
    actions: dict[tuple[str, str], Callable[[], object]] = {
        ("GET", "/stats"): lambda: behaviour.summary(times="times=1" in query),
        ("GET", "/seen"): lambda: list(behaviour.seen),
        ("GET", "/asked"): lambda: behaviour.asked,
        ("POST", "/behave"): lambda: behaviour.behave(**json.loads(body)),
        ("POST", "/storm"): lambda: behaviour.storm(**json.loads(body)),
        ("POST", "/reset"): behaviour.reset,
    }
    if (method, path) not in actions:
        return _json({"error": {"message": f"there is no {method} {path}"}}, 404)
    try:
        return _json(actions[method, path]())
    except (ValueError, TypeError) as error:
        return _json({"error": {"message": str(error)}}, 400)


# --- replies ----------------------------------------------------------------------------------------------


def _error(plan: _Plan) -> bytes:
    if plan.kind == "200 with an error":
        return _json({"error": {"message": "upstream failed", "code": "upstream"}})
    status, code, message = _REFUSED[plan.kind]
    more = "" if plan.retry_after_s is None else f"retry-after: {plan.retry_after_s}\r\n"
    return _json({"error": {"message": message, "code": code, "type": "error"}}, status, more)


def hash_of_messages(messages: list[dict[str, str]]) -> str:
    """Of the role and the text of each, byte for byte."""
    said = "\0".join(part for one in messages for part in (one["role"], one["content"]))
    return hashlib.sha256(said.encode()).hexdigest()


def _text_of(body: dict[str, Any]) -> str:
    return "\0".join([body["model"], *(one["content"] for one in body["messages"])])


def _completion(body: dict[str, Any], kind: str, draw: random.Random, no_share: float) -> dict[str, Any]:
    value = _filled(body, draw, no_share)
    message: dict[str, Any] = {"role": "assistant", "content": json.dumps(value), "refusal": None}
    finish = "stop"
    if kind == "empty":
        message["content"] = ""
    elif kind == "prose":
        message["content"] = "I would rather talk about the weather."
    elif kind == "refusal":
        message |= {"content": None, "refusal": "I cannot help with that."}
    elif kind == "cut off":
        message["content"], finish = json.dumps(value)[:-20], "length"
    elif kind == "missing key":
        value.popitem()
        message["content"] = json.dumps(value)
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": sum(len(one["content"]) for one in body["messages"]) // 4,
            "completion_tokens": len(message["content"] or "") // 4,
        },
    }


_SOLUTIONS = {
    "Go": "func Add{n}(x int) int {{\n\treturn x + {n}\n}}",
    "Java": "long add{n}(long x) {{\n    return x + {n}L;\n}}",
    "JavaScript": "function add{n}(x) {{\n  return x + {n};\n}}",
    "PHP": "function add{n}($x) {{\n    return $x + {n};\n}}",
    "Python": "def add_{n}(x):\n    return x + {n}",
    "Ruby": "def add_{n}(x)\n  x + {n}\nend",
}


def _filled(body: dict[str, Any], draw: random.Random, no_share: float) -> Any:
    schema = (
        body.get("response_format", {})
        .get("json_schema", {})
        .get("schema", {"type": "object", "properties": {}})
    )
    if schema["type"] == "object" and "solution" in schema["properties"]:
        return _instance(schema, body)
    return _any(schema, draw, no_share)


def _instance(schema: dict[str, Any], body: dict[str, Any]) -> dict[str, str]:
    """An instance of its own for every question."""
    user = body["messages"][-1]["content"]
    number = int(hashlib.sha256(_text_of(body).encode()).hexdigest()[:12], 16)
    found = re.search(r"from this raw (\w+) code", user)
    language = found.group(1) if found else "Python"
    target = re.search(r"The target language is (\w+)", user)
    solution = _SOLUTIONS[target.group(1) if target else language].format(n=number)
    return {
        "task_name": schema["properties"]["task_name"]["enum"][0],
        "instruction": f"Write {target.group(1) if target else language} code, from {language}, that adds {number}.",
        "information": _SOLUTIONS[language].format(n=number + 1),
        "solution": solution,
    }


def _any(schema: dict[str, Any], draw: random.Random, no_share: float) -> Any:
    if "enum" in schema:
        choices = [choice for choice in schema["enum"] if choice in ("yes", "no")] or schema["enum"]
        return choices[0] if len(choices) == 1 or draw.random() >= no_share / 5 else choices[1]
    if schema["type"] == "object":
        return {key: _any(value, draw, no_share) for key, value in schema["properties"].items()}
    if schema["type"] == "array":
        return [_any(schema["items"], draw, no_share)]
    return {"string": "It holds, e.g. as the code shows.", "boolean": True, "integer": 1, "number": 1.0}[
        schema["type"]
    ]


# --- serving ----------------------------------------------------------------------------------------------


async def _serve(behaviour: Behaviour, listening: socket.socket, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    open_ones: set[asyncio.Transport] = set()
    server = await loop.create_server(
        lambda: _Connection(behaviour, loop, open_ones), sock=listening, backlog=1024
    )
    await stop.wait()
    server.close()
    for transport in tuple(open_ones):
        transport.abort()
    await asyncio.sleep(0)  # they close in the next round


@contextmanager
def serving(behaviour: Behaviour, port: int = 0) -> Iterator[str]:
    """Serve in a thread of this process; yields the base URL."""
    listening = socket.create_server(("127.0.0.1", port))
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(
        target=loop.run_until_complete, args=(_serve(behaviour, listening, stop),), daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--errors", type=float, default=0.0)
    parser.add_argument("--unusable", type=float, default=0.0)
    parser.add_argument("--requests-per-minute", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    behaviour = Behaviour(
        latency_s=asked.latency,
        errors=asked.errors,
        unusable=asked.unusable,
        requests_per_minute=asked.requests_per_minute,
        seed=asked.seed,
    )
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # in the thread that serves, too
    with serving(behaviour, asked.port) as url:
        print(f"listening {url}", flush=True)
        signal.sigwait(ends)


if __name__ == "__main__":
    main()

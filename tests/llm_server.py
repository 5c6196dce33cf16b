"""An OpenAI-compatible server of our own: real HTTP, set latency, set faults, and its own count of calls.

    python -m tests.llm_server --port 0 --latency 0.2 --errors 0.05 --unusable 0.05

It answers any strict JSON schema; for ours it writes instances and verdicts that can pass. Which calls go wrong is
drawn from the seed and the number of the call. Prints `listening http://127.0.0.1:PORT/v1`.
"""

import argparse
import asyncio
import hashlib
import json
import random
import re
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

ERRORS = ("500", "503", "429", "429 with Retry-After", "reset", "cut JSON", "200 with an error")
UNUSABLE = ("empty", "prose", "refusal", "cut off", "missing key")


@dataclass
class Behaviour:
    latency_s: float = 0.0
    errors: float = 0.0  # share of calls that bring no reply
    unusable: float = 0.0  # share of calls whose reply cannot be used
    verdict_no: float = 0.2  # share of verdicts with a "no"
    seed: int = 0
    calls: int = 0
    answered: int = 0  # with a billable reply
    sent: Counter[str] = field(default_factory=Counter)
    seen: list[dict[str, Any]] = field(default_factory=list)


def make_app(behaviour: Behaviour) -> Starlette:
    async def complete(request: Request) -> Response:
        body = await request.json()
        behaviour.calls += 1
        number = behaviour.calls
        behaviour.seen.append({"model": body["model"], "messages": body["messages"]})
        await asyncio.sleep(behaviour.latency_s)
        if request.headers.get("authorization") == "Bearer wrong":
            return _error(401, "invalid_api_key", "Incorrect API key provided")
        if body["model"] == "no-such-model":
            return _error(404, "model_not_found", "The model `no-such-model` does not exist")
        draw = random.Random(f"{behaviour.seed} {number}")
        luck = draw.random()
        if luck < behaviour.errors:
            kind = draw.choice(ERRORS)
            behaviour.sent[kind] += 1
            return _fault(kind)
        behaviour.answered += 1
        kind = draw.choice(UNUSABLE) if luck < behaviour.errors + behaviour.unusable else "fine"
        behaviour.sent[kind] += 1
        return JSONResponse(_completion(body, kind, draw, behaviour))

    async def stats(_: Request) -> Response:
        return JSONResponse(
            {"calls": behaviour.calls, "answered": behaviour.answered, "sent": dict(behaviour.sent)}
        )

    return Starlette(
        routes=[Route("/v1/chat/completions", complete, methods=["POST"]), Route("/stats", stats)]
    )


def _error(status: int, code: str, message: str, **headers: str) -> Response:
    return JSONResponse({"error": {"message": message, "code": code, "type": "error"}}, status, headers)


def _fault(kind: str) -> Response:
    if kind == "429":
        return _error(429, "rate_limit_exceeded", "Slow down")
    if kind == "429 with Retry-After":
        return _error(429, "rate_limit_exceeded", "Slow down", **{"Retry-After": "0.2"})
    if kind == "200 with an error":
        return JSONResponse({"error": {"message": "upstream failed", "code": "upstream"}})
    if kind in ("reset", "cut JSON"):
        return StreamingResponse(_half(b'{"choices": [{"mess'), media_type="application/json")
    return _error(int(kind), "server_error", "Try again")


async def _half(start: bytes) -> AsyncIterator[bytes]:
    yield start
    raise ConnectionResetError  # the connection ends in the middle of a body


def _completion(body: dict[str, Any], kind: str, draw: random.Random, behaviour: Behaviour) -> dict[str, Any]:
    schema = body["response_format"]["json_schema"]["schema"]
    user = body["messages"][-1]["content"]
    value = _filled(schema, user, draw, behaviour.verdict_no)
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
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": sum(len(one["content"]) for one in body["messages"]) // 4,
            "completion_tokens": len(message["content"] or "") // 4,
        },
    }


_SOLUTIONS = {
    "Go": "func Add{n}(x int) int {{\n\treturn x + {n}\n}}",
    "Java": "int add{n}(int x) {{\n    return x + {n};\n}}",
    "JavaScript": "function add{n}(x) {{\n  return x + {n};\n}}",
    "PHP": "function add{n}($x) {{\n    return $x + {n};\n}}",
    "Python": "def add_{n}(x):\n    return x + {n}",
    "Ruby": "def add_{n}(x)\n  x + {n}\nend",
}


def _filled(schema: dict[str, Any], user: str, draw: random.Random, no_share: float) -> Any:
    if schema["type"] == "object" and "solution" in schema["properties"]:
        return _instance(schema, user)
    return _any(schema, draw, no_share)


def _instance(schema: dict[str, Any], user: str) -> dict[str, str]:
    number = int(hashlib.sha256(user.encode()).hexdigest()[:7], 16)
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


@contextmanager
def serving(behaviour: Behaviour, port: int = 0) -> Iterator[str]:
    """Serve in a thread of this process; yields the base URL."""
    listening = socket.create_server(("127.0.0.1", port), backlog=512)
    config = uvicorn.Config(make_app(behaviour), log_level="critical", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--errors", type=float, default=0.0)
    parser.add_argument("--unusable", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    behaviour = Behaviour(asked.latency, asked.errors, asked.unusable, seed=asked.seed)
    with serving(behaviour, asked.port) as url:
        print(f"listening {url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()

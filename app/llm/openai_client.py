"""Chat Completions of any OpenAI-compatible server."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import httpx2
from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    DefaultAsyncHttpxClient,
)

from app.llm.client import Failure, ProviderError
from app.llm.headers import limit_per_minute, retry_after, retry_delay
from app.prompting.prompt import Prompt, Reply
from app.prompting.storable import storable, tokens
from app.settings import Settings

MOST_BYTES = 4 * 1024 * 1024
"""Of an answer, whatever its length is said to be: no question of ours allows a longer one."""

_PACKED_PER_BYTE = (
    64  # so much less is read of what comes packed in spite of our asking: it may grow a thousandfold
)
_LONGEST_WORD = 100  # of a finish reason
_LONGEST_REFUSAL = 100_000

# By `error.code`, never by text: what no later call of this run can get past.
_FATAL_CODES = {"insufficient_quota", "model_not_found", "invalid_api_key", "billing_hard_limit_reached"}


class OpenAIClient:
    """One SDK client per process and loop. Its own retries are off: the engine counts every call."""

    def __init__(self, settings: Settings) -> None:
        key = settings.openai_api_key
        self._sdk = AsyncOpenAI(
            api_key=key.get_secret_value() if key else "none",
            base_url=settings.openai_base_url,
            timeout=settings.llm_timeout_s,
            max_retries=0,
            default_headers={"Accept-Encoding": "identity"},
            http_client=DefaultAsyncHttpxClient(event_hooks={"response": [_bound]}),
        )
        self._timeout_s = settings.llm_timeout_s

    async def ask(self, prompt: Prompt, model: str) -> Reply:
        try:
            # The SDK's timeout is one for each read: a server that drips would hold a call for ever.
            async with asyncio.timeout(self._timeout_s):
                response = await self._sdk.post(
                    "/chat/completions", cast_to=httpx2.Response, body=request_body(prompt, model)
                )
            reply = read_reply(json.loads(response.content))
        except TimeoutError as error:
            detail = f"no whole answer within {self._timeout_s:g} s"
            raise ProviderError(Failure.TRANSIENT, "timeout", detail, may_be_billed=True) from error
        except APIStatusError as error:
            raise _refusal(error) from error
        except APIConnectionError as error:  # timeouts too
            raise _broken(error) from error
        except (APIError, ValueError, RecursionError) as error:  # a body that is not the JSON it says it is
            raise _malformed(str(error)) from error
        return reply._replace(
            requests_per_minute=limit_per_minute(response.headers, "requests"),
            tokens_per_minute=limit_per_minute(response.headers, "tokens"),
        )

    async def close(self) -> None:
        await self._sdk.close()


class _TooLong(httpx2.ReadError):
    """An answer that goes on beyond what is read of one."""


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends in `_TooLong` where it goes on for too long."""

    def __init__(self, body: httpx2.AsyncByteStream, most: int) -> None:
        self._body = body
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in self._body:
            read += len(chunk)
            if read > self._most:
                raise _TooLong(f"the answer goes on after {self._most:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._body.aclose()


async def _bound(response: httpx2.Response) -> None:
    is_packed = response.headers.get("content-encoding", "identity") != "identity"
    most = MOST_BYTES // _PACKED_PER_BYTE if is_packed else MOST_BYTES
    response.stream = _Bounded(cast(httpx2.AsyncByteStream, response.stream), most)


def request_body(prompt: Prompt, model: str) -> dict[str, Any]:
    """The request as it is sent and hashed."""
    return {
        "model": model,
        "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
        "temperature": prompt.temperature,
        "max_tokens": prompt.max_output_tokens,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": prompt.schema_name, "schema": dict(prompt.schema), "strict": True},
        },
    }


def read_reply(answer: object) -> Reply:
    """The reply of a 200. Servers answer 200 with an error body, no choices or no text: none of it is a reply."""
    if not isinstance(answer, Mapping):
        raise _malformed(repr(answer))
    body = cast(Mapping[str, Any], answer)
    if error := body.get("error"):
        raise ProviderError(Failure.TRANSIENT, "error_in_200", str(error)[:500])
    try:
        choice = body["choices"][0]
        message = choice["message"]
        usage = body.get("usage")
        usage = cast(Mapping[str, Any], usage) if isinstance(usage, Mapping) else {}
        return Reply(
            text=storable(_text_of(message)),
            finish_reason=storable(str(choice.get("finish_reason") or "stop"), _LONGEST_WORD),
            refusal=storable(str(message["refusal"]), _LONGEST_REFUSAL) if message.get("refusal") else None,
            prompt_tokens=tokens(usage.get("prompt_tokens")),
            completion_tokens=tokens(usage.get("completion_tokens")),
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise _malformed(str(body)) from error


def _text_of(message: Mapping[str, Any]) -> str:
    """What a message says. Where it says nothing, what its server took for a call of a tool or for a thought."""
    content = message.get("content")
    text = "".join(map(_text_of_part, content)) if isinstance(content, list) else str(content or "")
    if text.strip():
        return text
    calls = [*(message.get("tool_calls") or ()), {"function": message.get("function_call") or {}}]
    arguments = "\n".join(str(call["function"].get("arguments") or "") for call in calls).strip()
    if arguments:
        return arguments
    thought = message.get("reasoning_content") or message.get("reasoning")
    return f"<think>\n{thought}\n" if thought else text


def _text_of_part(part: Any) -> str:
    """Some servers give the content in parts; thoughts are no part of the answer."""
    if isinstance(part, str):
        return part
    return str(part.get("text") or "") if part.get("type", "text") == "text" else ""


def _refusal(error: APIStatusError) -> ProviderError:
    code = str(error.code or f"http_{error.status_code}")
    detail = f"{error.status_code} {error.message}"[:500]
    wait = retry_after(error.response.headers)
    if wait is None:
        wait = retry_delay(error.body)
    return ProviderError(_meaning(error.status_code, code), code, detail, retry_after=wait)


def _meaning(status: int, code: str) -> Failure:
    if code in _FATAL_CODES or status in (401, 403, 404):
        return Failure.FATAL
    if status == 429:
        return Failure.RATE_LIMITED
    if status in (408, 409, 425) or status >= 500:
        return Failure.TRANSIENT
    return Failure.PERMANENT


def _broken(error: APIConnectionError) -> ProviderError:
    cause = error.__cause__
    if isinstance(cause, _TooLong):
        return ProviderError(Failure.TRANSIENT, "reply_too_long", str(cause), may_be_billed=True)
    never_sent = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
    code = "timeout" if isinstance(error, APITimeoutError) else "connection"
    return ProviderError(
        Failure.TRANSIENT, code, str(cause or error), may_be_billed=not never_sent, never_sent=never_sent
    )


def _malformed(detail: str) -> ProviderError:
    return ProviderError(Failure.TRANSIENT, "malformed_reply", detail[:500], may_be_billed=True)

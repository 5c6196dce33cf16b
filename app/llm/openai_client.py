"""Chat Completions of any OpenAI-compatible server."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

import httpx2
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI

from app.llm.client import Failure, ProviderError
from app.llm.headers import limit_per_minute, retry_after
from app.prompting.prompt import Prompt, Reply
from app.settings import Settings

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
        )
        self._timeout_s = settings.llm_timeout_s

    async def ask(self, prompt: Prompt, model: str) -> Reply:
        try:
            # The SDK's timeout is one for each read: a server that drips would hold a call for ever.
            async with asyncio.timeout(self._timeout_s):
                response = await self._sdk.post(
                    "/chat/completions", cast_to=httpx2.Response, body=request_body(prompt, model)
                )
            answer: object = json.loads(response.content)
        except TimeoutError as error:
            detail = f"no whole answer within {self._timeout_s:g} s"
            raise ProviderError(Failure.TRANSIENT, "timeout", detail, may_be_billed=True) from error
        except APIStatusError as error:
            raise _refusal(error) from error
        except APIConnectionError as error:  # timeouts too
            raise _broken(error) from error
        except (APIError, ValueError) as error:  # a body that is not the JSON it says it is
            raise _malformed(str(error)) from error
        return read_reply(answer)._replace(
            requests_per_minute=limit_per_minute(response.headers, "requests"),
            tokens_per_minute=limit_per_minute(response.headers, "tokens"),
        )

    async def close(self) -> None:
        await self._sdk.close()


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
        usage = body.get("usage") or {}
        return Reply(
            text=_storable(_text_of(message)),
            finish_reason=_storable(str(choice.get("finish_reason") or "stop")),
            refusal=_storable(str(message["refusal"])) if message.get("refusal") else None,
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
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


def _storable(text: str) -> str:
    """Without what Postgres text cannot hold: NUL, and halves of characters."""
    return text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _refusal(error: APIStatusError) -> ProviderError:
    code = str(error.code or f"http_{error.status_code}")
    detail = f"{error.status_code} {error.message}"[:500]
    wait = retry_after(error.response.headers)
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
    never_sent = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
    code = "timeout" if isinstance(error, APITimeoutError) else "connection"
    return ProviderError(
        Failure.TRANSIENT, code, str(cause or error), may_be_billed=not never_sent, never_sent=never_sent
    )


def _malformed(detail: str) -> ProviderError:
    return ProviderError(Failure.TRANSIENT, "malformed_reply", detail[:500], may_be_billed=True)

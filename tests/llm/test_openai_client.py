"""What a provider does wrong is told apart by its codes, over real HTTP."""

import asyncio
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from app.llm.client import Failure, ProviderError
from app.llm.openai_client import OpenAIClient, read_reply
from app.prompting.prompt import Prompt, Reply
from app.settings import Settings
from tests import llm_server
from tests.llm_server import Behaviour, serving

SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}
PROMPT = Prompt("system", "user", "answer", SCHEMA, "template", 100)


@pytest.fixture(scope="module")
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture(scope="module")
def url(behaviour: Behaviour) -> Iterator[str]:
    with serving(behaviour) as url:
        yield url


def ask(url: str, *, model: str = "test", key: str = "right", timeout_s: float = 5) -> Reply:
    async def once() -> Reply:
        client = OpenAIClient(
            Settings(openai_base_url=url, openai_api_key=SecretStr(key), llm_timeout_s=timeout_s)
        )
        try:
            return await client.ask(PROMPT, model)
        finally:
            await client.close()

    return asyncio.run(once())


def failure(url: str, **options: object) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        ask(url, **options)  # pyright: ignore
    return raised.value


def test_a_reply_comes_with_its_tokens_and_the_schema_was_asked_for(url: str) -> None:
    reply = ask(url)

    assert reply.finish_reason == "stop"
    assert '"answer"' in reply.text
    assert reply.prompt_tokens > 0


def test_a_wrong_key_stops_the_run(url: str) -> None:
    error = failure(url, key="wrong")

    assert (error.failure, error.code) == (Failure.FATAL, "invalid_api_key")


def test_an_unknown_model_stops_the_run(url: str) -> None:
    assert failure(url, model="no-such-model").code == "model_not_found"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("503", Failure.TRANSIENT),
        ("429", Failure.RATE_LIMITED),
        ("429 with Retry-After", Failure.RATE_LIMITED),
        ("reset", Failure.TRANSIENT),
        ("200 with an error", Failure.TRANSIENT),
    ],
)
def test_every_other_fault_says_what_it_means_for_the_work(
    url: str, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch, kind: str, expected: Failure
) -> None:
    monkeypatch.setattr(llm_server, "ERRORS", (kind,))
    monkeypatch.setattr(behaviour, "errors", 1.0)

    error = failure(url)

    assert error.failure is expected
    assert error.retry_after == (0.2 if kind == "429 with Retry-After" else None)
    assert error.may_be_billed == (kind == "reset")


def test_no_answer_in_time_may_have_been_billed(
    url: str, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(behaviour, "latency_s", 1.0)

    error = failure(url, timeout_s=0.2)

    assert (error.code, error.may_be_billed) == ("timeout", True)


def test_a_provider_that_is_not_there_was_never_asked() -> None:
    error = failure("http://127.0.0.1:9/v1")

    assert (error.failure, error.may_be_billed) == (Failure.TRANSIENT, False)


def test_a_refusal_is_a_reply_that_says_so(
    url: str, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llm_server, "UNUSABLE", ("refusal",))
    monkeypatch.setattr(behaviour, "unusable", 1.0)

    assert ask(url).refusal == "I cannot help with that."


THOUGHT = "Four keys, then."


@pytest.mark.parametrize(
    ("message", "text"),
    [
        # mistralai/client-python#252, NousResearch/hermes-agent#4748: Magistral answers in parts
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
                    {"type": "text", "text": "{}"},
                ]
            },
            "{}",
        ),
        # waybarrios/vllm-mlx#15: Qwen3 calls a tool that nobody offered
        ({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}, "{}"),
        # vllm-project/vllm#17349: what looks like a thought may be the answer; a thought is kept, too
        ({"content": None, "tool_calls": None, "reasoning_content": THOUGHT}, f"<think>\n{THOUGHT}\n"),
        ({"content": "{}", "reasoning_content": THOUGHT}, "{}"),
        # opensanctions/poliloom#138, LogicLabs-OU/OpenArchiver#464: no database keeps these
        ({"content": "K\x00f2rsou \ud83d \ud83d\ude00"}, "K\ufffdf2rsou \ufffd \U0001f600"),
        ({"content": None}, ""),
    ],
)
def test_what_a_message_says_is_found_wherever_its_server_put_it(message: object, text: str) -> None:
    reply = read_reply({"choices": [{"message": message, "finish_reason": "stop"}]})

    assert reply.text == text


def test_the_words_of_a_refusal_can_be_stored() -> None:
    reply = read_reply({"choices": [{"message": {"content": None, "refusal": "no\x00\udc00"}}]})

    assert reply.refusal == "no\ufffd\ufffd"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("retry_epoch", (Failure.RATE_LIMITED, "rate_limit_exceeded")),
        ("retry_inf", (Failure.RATE_LIMITED, "rate_limit_exceeded")),
        ("retry_503_day", (Failure.TRANSIENT, "overloaded")),
        ("html_200", (Failure.TRANSIENT, "malformed_reply")),
        ("deep_json", (Failure.TRANSIENT, "malformed_reply")),
        ("huge_number", (Failure.TRANSIENT, "malformed_reply")),
        ("endless", (Failure.TRANSIENT, "reply_too_long")),
        ("ctx_400", (Failure.PERMANENT, "400")),
        ("422_schema", (Failure.PERMANENT, "http_422")),
    ],
)
def test_an_odd_answer_is_a_failure_with_a_bounded_wait(
    url: str, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch, mode: str, expected: object
) -> None:
    monkeypatch.setattr(behaviour, "modes", {"test": mode})

    error = failure(url)

    assert (error.failure, error.code) == expected
    assert error.retry_after is None or 0 <= error.retry_after <= 3600


@pytest.mark.parametrize("mode", ["usage_null", "usage_zero", "usage_empty", "usage_absurd"])
def test_tokens_that_are_not_said_or_absurd_count_nothing(
    url: str, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(behaviour, "modes", {"test": mode})

    reply = ask(url)

    assert (reply.prompt_tokens, reply.completion_tokens) == (0, 0)

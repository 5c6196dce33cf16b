"""A model that says what a test tells it to."""

import asyncio
from collections.abc import Callable

from app.llm.client import ProviderError
from app.prompting.prompt import Prompt, Reply

Line = str | Reply | ProviderError


class ScriptedLLM:
    """Answers each question with the next line of its script; the last line repeats."""

    def __init__(self, script: list[Line], on_ask: Callable[[Prompt], None] | None = None) -> None:
        self._script = script
        self._on_ask = on_ask
        self.asked: list[Prompt] = []

    async def ask(self, prompt: Prompt, model: str) -> Reply:
        self.asked.append(prompt)
        await asyncio.sleep(0)
        if self._on_ask:
            self._on_ask(prompt)
        line = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(line, ProviderError):
            raise line
        if isinstance(line, str):
            return Reply(text=line, finish_reason="stop", prompt_tokens=100, completion_tokens=10)
        return line

    async def close(self) -> None: ...

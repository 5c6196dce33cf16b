"""People who read and decide, in a process of its own. Reads what to do from stdin, prints JSON.

python -m benchmarks._readers < asked.json

Each of them opens the review page and then does what the page's script does: sends its form, gets the next card.
Every request carries its kind in `X-Request-Id`, so that the server's own log tells them apart.
"""

import asyncio
import html
import json
import random
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import httpx2

from app.web.dependencies import SESSION_COOKIE
from tests.stack.product import ROOT

MIX = {"accept": 80, "reject": 10, "edit": 7, "skip": 3}
WARM = "warm"  # the kind of what is not counted
PATIENCE_S = 60
KEEP_ALIVE_S = 60  # as browsers do: longer than anybody thinks, shorter than the server waits

_CARD = {
    "instance": re.compile(r'data-instance="(\d+)"'),
    "lease": re.compile(r'name="lease" value="([^"]+)"'),
    "csrf": re.compile(r'name="csrf_token" value="([^"]+)"'),
    "revision": re.compile(r'name="revision" value="(\d+)"'),
}
_TEXT = re.compile(r'<textarea id="text-(\w+)"[^>]*>\n(.*?)</textarea>', re.DOTALL)


@dataclass
class Asked:
    """How many read how fast and for how long; `lists`: (name, path with query, Authorization or "")."""

    url: str
    label: str
    cookies: list[str]
    seconds: float
    think_s: tuple[float, float]
    lists: list[tuple[str, str, str]] = field(default_factory=list)
    lists_per_s: float = 0.0


@dataclass
class Happened:
    """What came of it after everybody had begun. Milliseconds as the client sees them."""

    seconds: float = 0.0
    decide_ms: list[float] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)
    list_ms: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


class Card(NamedTuple):
    instance: str
    lease: str
    csrf: str
    revision: str
    texts: dict[str, str]


def read(asked: Asked) -> Happened:
    """Have them read in another process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._readers"],
        cwd=ROOT,
        input=json.dumps(asdict(asked)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=asked.seconds + 2 * PATIENCE_S,
    )
    return Happened(**json.loads(done.stdout))


class _Readers:
    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.happened = Happened()
        self.began = time.monotonic()
        self.counted_from = self.began + asked.think_s[1]  # by then everybody has decided once
        self.ends = self.counted_from + asked.seconds

    async def all(self) -> Happened:
        lists = [self._lists()] if self.asked.lists else []
        await asyncio.gather(*map(self._reader, self.asked.cookies), *lists)
        self.happened.seconds = self.asked.seconds
        return self.happened

    def _is_counted(self) -> bool:
        return time.monotonic() >= self.counted_from

    def _headers(self, kind: str) -> dict[str, str]:
        return {"X-Request-Id": f"{self.asked.label}:{kind if self._is_counted() else WARM}"}

    async def _reader(self, cookie: str) -> None:
        async with _client(self.asked.url, cookie) as browser:
            await asyncio.sleep(random.uniform(0, self.asked.think_s[1]))
            answer = await browser.get("/review", headers=self._headers(WARM))
            while time.monotonic() < self.ends:
                card = _card(answer)
                if card is None:
                    self.happened.errors.append(
                        f"{answer.status_code} {answer.url.path}: {answer.text[:300]}"
                    )
                    return
                await asyncio.sleep(random.uniform(*self.asked.think_s))
                answer = await self._decide(browser, card)

    async def _decide(self, browser: httpx2.AsyncClient, card: Card) -> httpx2.Response:
        (action,) = random.choices(list(MIX), weights=list(MIX.values()))
        is_counted = self._is_counted()
        headers = self._headers(action) | {"HX-Request": "true", "X-CSRF-Token": card.csrf}
        started = time.perf_counter()
        answer = await browser.post(
            f"/review/{card.instance}/decide", headers=headers, data=_form(card, action)
        )
        if is_counted:
            self.happened.decide_ms.append((time.perf_counter() - started) * 1000)
            self.happened.bytes.append(len(answer.content))
        return answer

    async def _lists(self) -> None:
        """One after the other, at a steady pace."""
        due = time.monotonic()
        async with _client(self.asked.url, self.asked.cookies[0]) as browser:
            while (due := due + 1 / self.asked.lists_per_s) < self.ends:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                name, path, authorization = self.asked.lists[0]
                self.asked.lists.append(self.asked.lists.pop(0))
                headers = self._headers(name) | ({"Authorization": authorization} if authorization else {})
                started = time.perf_counter()
                answer = await browser.get(path, headers=headers)
                if self._is_counted():
                    took = (time.perf_counter() - started) * 1000
                    self.happened.list_ms.setdefault(name, []).append(took)
                if answer.status_code != 200:
                    self.happened.errors.append(f"{answer.status_code} {path}")


def _client(url: str, cookie: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=url,
        cookies={SESSION_COOKIE: cookie},
        timeout=PATIENCE_S,
        limits=httpx2.Limits(keepalive_expiry=KEEP_ALIVE_S),
        trust_env=False,
    )


def _card(answer: httpx2.Response) -> Card | None:
    """The card in hand; None where there is none to decide on."""
    found = {name: pattern.search(answer.text) for name, pattern in _CARD.items()}
    if answer.status_code != 200 or None in found.values():
        return None
    texts = {name: html.unescape(text) for name, text in _TEXT.findall(answer.text)}
    return Card(**{name: match[1] for name, match in found.items() if match}, texts=texts)


def _form(card: Card, action: str) -> dict[str, Any]:
    """What the page's form holds; the texts only while they are edited."""
    form = {
        "csrf_token": card.csrf,
        "lease": card.lease,
        "reason": "incorrect" if action in ("reject", "skip") else "",
        "action": action,
        "version": "0",
        "revision": card.revision,
        "note": "",
    }
    if action == "edit":
        form |= card.texts | {"solution": f"{card.texts['solution']}\n# read and mended"}
    return form


def main() -> None:
    asked = Asked(**json.load(sys.stdin))
    print(json.dumps(asdict(asyncio.run(_Readers(asked).all()))))


if __name__ == "__main__":
    main()

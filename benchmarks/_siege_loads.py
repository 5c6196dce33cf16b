"""The loads of requests: each once stopped the service, or nearly (the marks are those of the findings).

A load goes on until its time is over and awaits what it has sent, ten seconds at most (large bodies longer).
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import cache
from itertools import cycle, repeat

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.web.csrf import ANONYMOUS_COOKIE, CSRF_FIELD
from app.web.dependencies import SESSION_COOKIE
from app.web.flash import FLASH_COOKIE
from benchmarks._siege_line import ask, hold, message, trickle, upload
from benchmarks._siege_scene import MB, PROJECT, Scene, Tally

API = f"/api/v1/projects/{PROJECT}"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BOUNDARY = "siege"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
STALE_S = 120  # after one minute a use is written down again
BODY_MB = 300
BODY_PATIENCE_S = 45.0  # to see how much of it is taken
_PIECE = b"x" * 256 * 1024
BOGUS_COOKIE = {"Cookie": f"{SESSION_COOKIE}=bogus"}
BOGUS_TOKEN = {"Authorization": "Bearer bw_bogus"}
LISTS = (
    *(f"{API}/{name}" for name in ("runs", "sources", "snippets", "selections", "instances", "audits")),
    *(f"{API}/{name}" for name in ("releases", "exemplars", "rules/versions")),
    "/api/v1/projects",
)
PAGES = ("/", "/instances", "/runs", "/sources", "/sources/snippets", "/selections", "/audits", "/releases")


async def rounds(until: float) -> AsyncIterator[int]:
    """Numbers from one on until the time is over: one at least, also on a machine that was busy otherwise."""
    number = 1
    yield number
    while time.monotonic() < until:
        number += 1
        yield number


async def _burst(scene: Scene, tally: Tally, sent: Iterable[bytes]) -> None:
    """All at once."""
    tally.add(*await asyncio.gather(*(ask(scene.address, one) for one in sent)))


# --- one caller, many requests (C1) -----------------------------------------------------------------------


async def one_token(scene: Scene, tally: Tally, until: float) -> None:
    sent = message("GET", "/api/v1/me", scene.attacker.bearer)
    async for _ in rounds(until):
        await asyncio.to_thread(scene.stamp, scene.attacker, age_s=STALE_S)
        await _burst(scene, tally, repeat(sent, 45))


async def one_browser(scene: Scene, tally: Tally, until: float) -> None:
    sent = message("GET", "/", scene.attacker.browser)
    async for _ in rounds(until):
        await asyncio.to_thread(scene.stamp, scene.attacker, age_s=STALE_S)
        await _burst(scene, tally, repeat(sent, 60))


async def event_streams(scene: Scene, tally: Tally, until: float) -> None:
    await asyncio.to_thread(scene.stamp, scene.attacker, age_s=STALE_S)
    sent = message("GET", "/api/v1/events", scene.attacker.bearer)
    seconds = max(until - time.monotonic(), 1)
    tally.add(*await asyncio.gather(*(hold(scene.address, sent, seconds) for _ in range(200))))


# --- nobody in particular (H1) ----------------------------------------------------------------------------


async def bogus_cookies(scene: Scene, tally: Tally, until: float) -> None:
    sent = message("GET", "/signin", BOGUS_COOKIE)
    async for _ in rounds(until):
        await _burst(scene, tally, repeat(sent, 150))


async def other_doors(scene: Scene, tally: Tally, until: float) -> None:
    """150 at once at each of the other addresses that ask the database before anybody is known."""
    doors = [
        message("GET", "/readyz"),
        message("GET", "/metrics"),
        message("GET", "/api/v1/me", BOGUS_TOKEN),
        message("GET", "/", BOGUS_COOKIE),
        message("POST", f"{API}/generations", BOGUS_TOKEN | JSON, b"{}"),
        message("GET", "/api/v1/openapi.json"),
    ]
    async for number in rounds(until):
        await _burst(scene, tally, repeat(doors[number % len(doors)], 150))


async def sign_ins(scene: Scene, tally: Tally, until: float) -> None:
    """40 people whom nobody knows, at once (M6): a password's hash takes 64 MB while it is computed."""
    cookie = {"Cookie": f"{ANONYMOUS_COOKIE}=siege"} | FORM
    async for _ in rounds(until):
        await asyncio.to_thread(scene.forget_sign_ins)
        bodies = (f"{CSRF_FIELD}=siege&name=nobody{number}&password=siege-siege" for number in range(40))
        await _burst(scene, tally, [message("POST", "/signin", cookie, body.encode()) for body in bodies])


# --- large bodies (H6) ------------------------------------------------------------------------------------


async def large_bodies(scene: Scene, tally: Tally, until: float) -> None:
    """Four uploads of 300 MB at a time by people who may not send any."""
    length = {"Content-Length": str(BODY_MB * MB)}
    doors = [
        message("POST", path, MULTIPART | length | who)
        for path in (f"{API}/sources", "/signin", "/sources", "/theme")
        for who in ({}, BOGUS_TOKEN if path.startswith("/api") else BOGUS_COOKIE)
    ]
    turns = cycle(doors)

    async def send() -> None:
        while time.monotonic() < until:
            got = await upload(scene.address, next(turns), _multipart(BODY_MB), BODY_PATIENCE_S)
            tally.add(got.outcome)
            tally.most("body_taken_mb", got.bytes_taken / MB)

    await asyncio.gather(*(send() for _ in range(4)))


def _multipart(megabytes: int) -> Iterable[bytes]:
    yield (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="large.jsonl"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    yield from repeat(_PIECE, megabytes * MB // len(_PIECE))


async def anonymous_json(scene: Scene, tally: Tally, until: float) -> None:
    """40 bodies of nearly 10 MB at once, of which none may be read into memory for nobody."""
    size = 10 * MB - 1024
    head = {"Content-Length": str(size)} | JSON
    doors = [
        message("POST", f"{API}/{name}", head | who)
        for name in ("audits", "releases")
        for who in ({}, BOGUS_TOKEN)
    ]

    async def send(sent: bytes) -> None:
        while time.monotonic() < until:
            got = await upload(
                scene.address, sent, [b"[", *repeat(_PIECE, 39), b" " * (size - 39 * len(_PIECE) - 1)]
            )
            tally.add(got.outcome)
            tally.most("json_taken_mb", got.bytes_taken / MB)

    await asyncio.gather(*(send(doors[number % len(doors)]) for number in range(40)))


# --- slow ones (M9) ---------------------------------------------------------------------------------------


async def half_headers(scene: Scene, tally: Tally, until: float) -> None:
    """900 connections that never come to the end of their headers: half stand still, half send on and on."""
    first = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
    seconds = max(until - time.monotonic(), 1)
    slow = [trickle(scene.address, first, b"x" * (number % 2), 1.0, seconds) for number in range(900)]
    tally.add(*await asyncio.gather(*slow))


async def slow_bodies(scene: Scene, tally: Tally, until: float) -> None:
    length = {"Content-Length": "100000"}
    doors = [
        message("POST", "/signin", FORM | length),
        message("POST", f"{API}/sources", MULTIPART | length | scene.admin.bearer),
        message("POST", f"{API}/audits", JSON | length | scene.admin.bearer),
        message("POST", "/settings/guideline", FORM | length | scene.admin.browser),
    ]
    seconds = max(until - time.monotonic(), 1)
    slow = [trickle(scene.address, doors[number % 4], b"x", 0.2, seconds) for number in range(60)]
    tally.add(*await asyncio.gather(*slow))


async def slow_readers(scene: Scene, tally: Tally, until: float) -> None:
    """60 large answers that are taken one byte at a time."""
    doors = [
        message("GET", "/api/v1/openapi.json"),
        message("GET", f"{API}/instances?limit=500", scene.attacker.bearer),
        message("GET", "/static/app.css"),
    ]
    seconds = max(until - time.monotonic(), 1)
    slow = [trickle(scene.address, doors[number % 3], b"", 0.2, seconds, reads=False) for number in range(60)]
    tally.add(*await asyncio.gather(*slow))


# --- odd ones (L1, L7) ------------------------------------------------------------------------------------


def _url_safe(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def odd_values() -> Sequence[str]:
    """What no page ever gave as a cursor, and no answer as a cookie."""
    return [
        _url_safe("[" * 5000),
        _url_safe('{"a":' * 3000),
        _url_safe('["\\ud800", "ok"]'),
        _url_safe('["\udc00", "ok"]'),
        _url_safe("[" + "9" * 5000 + "]"),
        _url_safe("[1e999]"),
        _url_safe("[NaN]"),
        _url_safe("[9223372036854775808]"),
        "%00",
        "=" * 4000,
    ]


async def odd_cursors(scene: Scene, tally: Tally, until: float) -> None:
    api = [(path, scene.readers[1].bearer) for path in LISTS]
    pages = [(path, scene.attacker.browser) for path in PAGES]
    turns = cycle((path, who, odd) for odd in odd_values() for path, who in (*api, *pages))

    async def send() -> None:
        while time.monotonic() < until:
            path, who, odd = next(turns)
            tally.add(await ask(scene.address, message("GET", f"{path}?cursor={odd}", who)))
            if "Cookie" in who:
                cookie = {"Cookie": f"{who['Cookie']}; {FLASH_COOKIE}={odd}"}
                tally.add(await ask(scene.address, message("GET", path, cookie)))

    await asyncio.gather(*(send() for _ in range(4)))


@cache
def _many_keys() -> bytes:
    return json.dumps({f"key{number}": 1 for number in range(500_000)}, separators=(",", ":")).encode()


def prepare_keys(scene: Scene) -> None:
    _many_keys()


async def unknown_keys(scene: Scene, tally: Tally, until: float) -> None:
    """6 MB of JSON with 500,000 keys that nobody asked for, twice at once at either address."""
    head = JSON | scene.admin.bearer
    sent = [message("POST", f"{API}/{name}", head, _many_keys()) for name in ("audits", "releases")]
    async for _ in rounds(until):
        await _burst(scene, tally, sent * 2)


# --- the same thing twice (M3, M4) ------------------------------------------------------------------------


async def double_submits(scene: Scene, tally: Tally, until: float) -> None:
    """12 at once of each; nobody else has anything to do with it, so a 503 is a lie."""
    form = FORM | scene.admin.browser
    csrf = f"{CSRF_FIELD}={scene.admin.csrf}"
    async for number in rounds(until):
        await asyncio.to_thread(_forget_languages, scene)
        release = {"name": f"siege-{number}", "gates": {"unknown_license": "admit"}}
        project = json.dumps({"name": f"Siege {number}"}).encode()
        anywhere = JSON | {"Authorization": f"Bearer {scene.product.token}"}
        key = {"Idempotency-Key": f"siege {number}"}
        for sent in (
            message("POST", f"{API}/releases", JSON | scene.admin.bearer, json.dumps(release).encode()),
            message("POST", "/settings/guideline", form, f"{csrf}&markdown=Version+{number}".encode()),
            message("POST", "/review/languages", form, f"{csrf}&languages=python&languages=go".encode()),
            message("POST", "/api/v1/projects", anywhere, project),
            message("POST", "/api/v1/projects", anywhere | key, project.replace(b"Siege", b"Keyed")),
        ):
            await _burst(scene, tally, repeat(sent, 12))


def _forget_languages(scene: Scene) -> None:
    try:
        with scene.database.begin() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = '500ms'")
            connection.execute(text("DELETE FROM reader_languages"))
    except SQLAlchemyError:
        return

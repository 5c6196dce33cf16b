"""The loads of texts and files (H2 to H4): small ones that take long, or would take all there is."""

import asyncio
import gzip
import io
import tarfile
import time
import zlib
from collections.abc import Sequence
from functools import cache
from itertools import cycle
from typing import Any

import httpx2

from benchmarks._product import ENDED
from benchmarks._siege_line import ask, message
from benchmarks._siege_loads import API, BOUNDARY, MULTIPART, rounds
from benchmarks._siege_scene import MB, PROJECT, Scene, Tally
from tests.stack.product import jsonl

FREED_WITHIN_S = 30  # how long a cancelled step is waited for; it should be gone after ten
MOST_CHARACTERS = 100_000
_LOOK_EVERY_S = 0.1

# --- texts (H2) -------------------------------------------------------------------------------------------


def long_texts() -> Sequence[str]:
    """Texts within the limit on which a pattern may go back and forth."""
    most = MOST_CHARACTERS - 100
    return [
        "assistant x" + "\n" * 30_000 + "y",
        "assistant" + "\n" * most,
        "é" + "A" * most,
        "human" + " \t" * (most // 2) + ":",
        "#" * most,
        "`" * most,
        "<" * most,
        "a\u200b" * (most // 2),
        "# " + "\r" * most,
        '"""' + "\\" * most,
    ]


async def long_text_pages(scene: Scene, tally: Tally, until: float) -> None:
    """Their pages and cards, eight at a time."""
    found = await asyncio.to_thread(_texts, scene)
    reader = scene.readers[2]
    doors = [message("GET", "/review", reader.browser), message("GET", "/instances", reader.browser)]
    for number in found:
        doors.append(message("GET", f"/instances/{number}", scene.admin.browser))
        doors.append(message("GET", f"/api/v1/instances/{number}", scene.admin.bearer))
    turns = cycle(doors)

    async def look() -> None:
        while time.monotonic() < until:
            tally.add(await ask(scene.address, next(turns)))

    await asyncio.gather(*(look() for _ in range(8)))


def import_long_texts(scene: Scene) -> None:
    rows = [
        {"instruction": f"Say it {n}", "input": "", "output": text} for n, text in enumerate(long_texts())
    ]
    answer = _upload(scene, "imports", "texts.jsonl", jsonl(rows), format="alpaca", license="MIT")
    _await_run(scene, answer.headers["Location"], 60)


def _texts(scene: Scene) -> list[int]:
    with scene.database.connect() as connection:
        found = connection.exec_driver_sql("SELECT id FROM instance WHERE instruction LIKE 'Say it %%'")
        return [row[0] for row in found]


# --- files in a request (H4) ------------------------------------------------------------------------------


@cache
def packed(megabytes: int, *, first: bytes = b"", blank: bytes = b"\n") -> bytes:
    """A gzip file of so many blanks: a thousandth of that."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = blank * MB
    made = [packer.compress(first), *(packer.compress(piece) for _ in range(megabytes)), packer.flush()]
    return b"".join(made)


def _gzips() -> Sequence[bytes]:
    return [packed(20), packed(200), packed(200, first=b"[", blank=b" ")]


async def small_gzips(scene: Scene, tally: Tally, until: float) -> None:
    """44 uploads at once of each."""
    kinds = _gzips()
    async for number in rounds(until):
        content = kinds[(number - 1) % len(kinds)]
        form = _form("blanks.jsonl.gz", content, format="auto")
        sent = message("POST", f"{API}/imports", MULTIPART | scene.admin.bearer, form)
        tally.add(*await asyncio.gather(*(ask(scene.address, sent) for _ in range(44))))


def prepare_gzips(scene: Scene) -> None:
    _gzips()


# --- files in a worker (H3) -------------------------------------------------------------------------------


@cache
def turning_tar() -> bytes:
    """A header whose size leads back to itself, behind an honest one."""
    entry = tarfile.TarInfo("turning.py")
    entry.size = -tarfile.BLOCKSIZE
    return tarfile.TarInfo("honest.py").tobuf() + entry.tobuf(tarfile.GNU_FORMAT) + bytes(1536)


@cache
def tar_of_folders() -> bytes:
    """400,000 folders and no file."""
    entry = tarfile.TarInfo("folder")
    entry.type = tarfile.DIRTYPE
    packer = io.BytesIO()
    with gzip.GzipFile(fileobj=packer, mode="wb", compresslevel=6, mtime=0) as packed_:
        piece = entry.tobuf() * 4000
        for _ in range(100):
            packed_.write(piece)
        packed_.write(bytes(1024))
    return packer.getvalue()


async def a_turning_tar(scene: Scene, tally: Tally, until: float) -> None:
    await asyncio.to_thread(_occupy, scene, tally, until, "turning.tar", turning_tar())


async def a_tar_of_folders(scene: Scene, tally: Tally, until: float) -> None:
    await asyncio.to_thread(_occupy, scene, tally, until, "folders.tar.gz", tar_of_folders())


def _occupy(scene: Scene, tally: Tally, until: float, name: str, content: bytes) -> None:
    """Have the worker read it until the time is over, cancel, and see how soon somebody else's file is read."""
    answer = _upload(scene, "sources", name, content)
    tally.add(str(answer.status_code))
    if answer.status_code != 202:
        return
    run = answer.headers["Location"]
    tally.add(f"run {_await_run(scene, run, until - time.monotonic())}")
    cancelled_at = time.monotonic()
    scene.product.request("POST", f"{run}/cancel")
    next_one = _upload(scene, "sources", "next.jsonl", jsonl([{"code": "def f(): pass", "docstring": name}]))
    _await_run(scene, next_one.headers["Location"], FREED_WITHIN_S)
    tally.most("cancelled_within_s", time.monotonic() - cancelled_at)


def free_the_worker(scene: Scene, tally: Tally) -> None:
    """Cancel what still goes on and see how soon the worker is free; one that will not be is started again."""
    cancelled_at = time.monotonic()
    open_runs = _open_runs(scene)
    for number in open_runs:
        scene.product.request("POST", f"{API}/runs/{number}/cancel")
    if not open_runs:
        return
    answer = _upload(
        scene, "sources", "after.jsonl", jsonl([{"code": "def g(): pass", "docstring": str(cancelled_at)}])
    )
    state = _await_run(scene, answer.headers["Location"], FREED_WITHIN_S)
    tally.most("cancelled_within_s", time.monotonic() - cancelled_at)
    if state not in ENDED:
        scene.restart_worker("cpu")
        _await_run(scene, answer.headers["Location"], 60)


def _open_runs(scene: Scene) -> list[int]:
    with scene.database.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT run.id FROM run JOIN project ON project.id = run.project_id"
            f" WHERE project.slug = '{PROJECT}' AND state IN ('queued', 'running', 'paused')"
        )
        return [row[0] for row in found]


def _await_run(scene: Scene, location: str, seconds: float) -> str:
    """Its state when it has ended, or when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        state = _state(scene, location)
        if state in ENDED or time.monotonic() > deadline:
            return state
        time.sleep(_LOOK_EVERY_S)


def _state(scene: Scene, location: str) -> str:
    try:
        return scene.product.request("GET", location).json()["state"]
    except (httpx2.HTTPError, KeyError, ValueError):
        return "not told"


def _upload(scene: Scene, where: str, name: str, content: bytes, **fields: Any) -> httpx2.Response:
    return scene.product.request(
        "POST", f"{API}/{where}", files={"file": (name, content)}, data={"format": "auto"} | fields
    )


def _form(name: str, content: bytes, **fields: str) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    return b"".join([*parts, head, content, f"\r\n--{BOUNDARY}--\r\n".encode()])

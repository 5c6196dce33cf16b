"""What files that were made to stop their reader cost: time and memory of each, and whether its end is told clearly.

    python -m benchmarks.hostile_files [--full]

Some forty files, each made on the spot: packed to a thousandth, nested, named and encoded as nobody does by accident,
with `--full` ten times as large. Each is uploaded to a running product, as raw code (`/sources`) and as a finished set
(`/imports`), and followed to its end. `worst_seconds` is the longest from the upload to the end of its run,
`worst_rss_mb` the most memory that the web process or the worker for processor work, with all its children, held
meanwhile; `unclear` are outcomes without a sentence for people: no reason and no exhibit that says why, or the name of
an exception in it. `errors_500` are answers of 500 and above. `answers_s` is the slowest upload's answer, with
`UPLOADS` of the worst at once; `healthz_s` the slowest `/healthz` beside them. `cancelled_within_s` is how long a run
that hangs in a parser, cancelled, keeps the worker from the next upload, which is done by then.
"""

import re
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import psutil

import benchmarks
from benchmarks._product import fresh_home
from tests.ingestion import hostile
from tests.ingestion.rows import csn_row, jsonl, numbered_row
from tests.ingestion.sets import alpaca_row
from tests.stack.product import Product, running

PROJECT = "hostile"
UPLOADS = 44
PATIENCE_S = 300
_TOLD_BY_PYTHON = re.compile(r"\b[A-Z]\w*(?:Error|Exception)\b")
_CODINGS = ("undefined", "punycode", "rot13", "idna", "unicode_escape", "utf-16", "hex", "no-such")
_HEADERS = (
    ("GNU.sparse.size", "x", b"0"),
    ("GNU.sparse.map", "a,b", b"0"),
    ("GNU.sparse.realsize", "9" * 30, b"0"),
    ("size", "9" * 20, b"Z"),
    ("size", "-512", b"0"),
)


class Outcome(NamedTuple):
    status: int  # of the upload
    said: list[str]  # the sentences that tell how it ended
    seconds: float


def files(scale: int) -> dict[str, Callable[[], bytes]]:
    """By name: each is made when its turn comes, so that one is in memory at a time."""
    million = 100_000 * scale
    text = alpaca_row()
    made: dict[str, Callable[[], bytes]] = {
        "negative_size.tar": hostile.a_tar_whose_size_is_negative,
        "chained_names.tar": hostile.a_tar_of_chained_names,
        "chained_headers.tar": hostile.a_tar_of_chained_headers,
        "folders.tar.gz": lambda: hostile.a_tar_of_folders(4 * million),
        "entries.zip": lambda: hostile.a_zip_of_entries(10 * million),
        "unclaimed_entries.zip": lambda: hostile.a_zip_of_entries(10 * million, claimed=3),
        "no_utf8.zip": hostile.a_zip_with_a_name_that_is_no_utf8,
        "lzma_dictionary.zip": hostile.a_zip_that_asks_for_gigabytes,
        "hanging_parser.zip": hostile.a_zip_over_which_a_parser_hangs,
        "many_files.zip": lambda: hostile.zipped(*((f"{n}.txt", b"") for n in range(million // 10))),
        "long_path.zip": lambda: hostile.zipped(("a/" * 3000 + "b.py", hostile.GOOD)),
        "nested_classes.java": lambda: b"class A{" * 100_000,
        "one_line.js": lambda: b"function f(){}" * 70_000,
        "comments.go": lambda: b"// a\n" * 150_000 + b"func f(){}\n",
        "terms.py": lambda: b"a = " + b"1+" * 300_000 + b"1\n",
        "newlines.jsonl.gz": lambda: hostile.packed(b"\n" * 20 * million),
        "blanks.json.gz": lambda: hostile.packed(b"[" + b" " * 200 * million),
        "blank_lines.gz": lambda: hostile.packed((b" " * 1_000_000 + b"\n") * 2 * scale * 10),
        "zeros.gz": lambda: hostile.packed(b"\0" * 200 * million),
        "one_line.gz": lambda: hostile.packed(b'{"instruction": "' + b"x" * 200 * million),
        "broken_lines.gz": lambda: hostile.packed(b"x\n" * million),
        "truncated.gz": lambda: hostile.packed(jsonl([text] * 1000))[:-20],
        "rubbish_behind.gz": lambda: hostile.packed(jsonl([text])) + b"rubbish",
        "members.gz": lambda: hostile.packed(b"\n") * 50_000,
        "gzip_of_gzip.gz": lambda: hostile.packed(hostile.packed(b"\n" * 10 * million)),
        "brackets.json": lambda: b"[" * 10 * million,
        "depths.jsonl": lambda: b"\n".join(map(hostile.nested, range(900, 1100))),
        "long_number.json": lambda: b'[{"instruction": ' + b"9" * 5000 + b', "output": "x"}]',
        "not_a_number.jsonl": lambda: b'{"instruction": NaN, "input": Infinity, "output": -Infinity}\n' * 100,
        "many_keys.json": lambda: b"[{" + b",".join(b'"%d": 0' % n for n in range(million)) + b"}]",
        "half_characters.jsonl": lambda: b'{"instruction": "\\ud800", "output": "\\udc00"}\n' * 100,
        "utf16.jsonl": lambda: jsonl([text]).decode().encode("utf-16"),
        "empty": lambda: b"",
        "dictionary.parquet": lambda: hostile.a_parquet_dictionary(20_000_000, 100 * scale),
        "footer.parquet": lambda: hostile.parquet(["x"])[:-100] + b"\xff" * 92 + b"\x10\0\0\0PAR1",
        "cut.parquet": lambda: hostile.parquet(["x"] * 100)[:300],
    }
    made |= {f"coding_{one}.zip": lambda one=one: hostile.a_zip_with_the_coding(one) for one in _CODINGS}
    made |= {
        f"{keyword}={value[:3]}.tar": lambda one=(keyword, value, kind): hostile.a_tar_with(*one)
        for keyword, value, kind in _HEADERS
    }
    return made


def run(full: bool) -> dict[str, Any]:
    with fresh_home() as home, running(home) as product, _peaks(product) as peaks:
        product.post("/api/v1/projects", 201, json={"name": PROJECT})
        idle = dict(peaks)
        worst_s, unclear, errors, count = 0.0, [], 0, 0
        for name, make in files(10 if full else 1).items():
            content = make()
            count += 1
            for kind in ("sources", "imports"):
                peaks.update(web=0.0, cpu=0.0)
                outcome = _brought(product, kind, name, content)
                worst_s = max(worst_s, outcome.seconds)
                errors += outcome.status >= 500
                if not _is_clear(outcome):
                    unclear.append(f"{name} as {kind}: {outcome.status} {outcome.said}")
                idle["worst"] = max(idle.get("worst", 0.0), peaks["web"], peaks["cpu"])
                print(
                    f"{name:26} {kind:8} {len(content):>11,} bytes {outcome.seconds:6.1f} s"
                    f"  web {peaks['web']:5.0f} MB, cpu {peaks['cpu']:5.0f} MB"
                    f"  {outcome.status} {'; '.join(outcome.said)[:110]}",
                    flush=True,
                )
        answers_s, healthz_s, statuses = _many_at_once(product)
        cancelled_s = _cancelled(product)
    for one in unclear:
        print(f"unclear: {one}")
    return {
        "files": count,
        "worst_seconds": round(worst_s, 1),
        "worst_rss_mb": round(idle["worst"]),
        "cancelled_within_s": round(cancelled_s, 1),
        "unclear": len(unclear),
        "errors_500": errors + sum(status >= 500 for status in statuses),
        "answers_s": round(answers_s, 1),
        "healthz_s": round(healthz_s, 1),
    }


def _upload(product: Product, kind: str, name: str, content: bytes) -> Any:
    return product.request("POST", f"/api/v1/projects/{PROJECT}/{kind}", files={"file": (name, content)})


def _brought(product: Product, kind: str, name: str, content: bytes) -> Outcome:
    """Upload a file and follow its run, if one starts."""
    began = time.monotonic()
    answer = _upload(product, kind, name, content)
    if answer.status_code != 202:
        said = [str(answer.json().get("detail", ""))] if answer.status_code < 500 else []
        return Outcome(answer.status_code, said, time.monotonic() - began)
    seen = _followed(product, answer.headers["Location"])
    source = next(
        one
        for one in product.get(f"/api/v1/projects/{PROJECT}/sources")["items"]
        if one["run_id"] == seen["id"]
    )
    ledger = product.get(f"/api/v1/projects/{PROJECT}/sources/{source['id']}/ledger")
    said = [seen["reason"], *(one["why"] for rule in ledger for one in rule["exhibits"])]
    rows = ", ".join(f"{rows} {code}" for code, rows in seen["done"].items())
    return Outcome(202, [f"{seen['state']}: {rows}", *filter(None, said)], time.monotonic() - began)


def _followed(product: Product, location: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        seen: dict[str, Any] = product.get(location)
        if seen["state"] not in ("queued", "running") or time.monotonic() > deadline:
            return seen
        time.sleep(0.2)


def _is_clear(outcome: Outcome) -> bool:
    """It came to an end, and what is said of it is for people: a row that is in says enough."""
    if outcome.status == 202 and not outcome.said[0].startswith(("completed", "failed")):
        return False
    has_words = len(outcome.said) > (outcome.status == 202) or " added" in outcome.said[0]
    return has_words and not any(_TOLD_BY_PYTHON.search(one) for one in outcome.said)


def _many_at_once(product: Product) -> tuple[float, float, list[int]]:
    """Seconds of the slowest upload of many, and of the slowest `/healthz` beside them."""
    content = hostile.packed(b"\n" * 20_000_000)
    slowest, over = [0.0], threading.Event()

    def ask() -> None:
        while not over.is_set():
            began = time.monotonic()
            product.request("GET", "/healthz")
            slowest.append(time.monotonic() - began)
            time.sleep(0.05)

    def upload(_: int) -> tuple[float, int]:
        began = time.monotonic()
        status = _upload(product, "imports", "newlines.jsonl.gz", content).status_code
        return time.monotonic() - began, status

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        with ThreadPoolExecutor(UPLOADS) as pool:
            took = list(pool.map(upload, range(UPLOADS)))
    finally:
        over.set()
        thread.join()
    _await_idle(product)
    return max(seconds for seconds, _ in took), max(slowest), [status for _, status in took]


def _await_idle(product: Product) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        runs = product.get(f"/api/v1/projects/{PROJECT}/runs")["items"]
        if all(one["state"] not in ("queued", "running") for one in runs):
            return
        time.sleep(0.5)


def _cancelled(product: Product) -> float:
    """Seconds from cancelling a run that hangs to the end of the next upload's."""
    hangs = _upload(product, "sources", "hangs.zip", hostile.a_zip_over_which_a_parser_hangs(400_000))
    location = hangs.headers["Location"]
    while product.get(location)["state"] == "queued":
        time.sleep(0.1)
    time.sleep(3)  # it is in the parser by now
    began = time.monotonic()
    product.post(f"{location}/cancel", 200)
    rows = jsonl([csn_row(), numbered_row(time.time_ns() % 10**9)])
    _followed(product, _upload(product, "sources", "next.jsonl", rows).headers["Location"])
    return time.monotonic() - began


@contextmanager
def _peaks(product: Product) -> Generator[dict[str, float]]:
    """The most memory that web and the worker for processor work hold, with their children; MB."""
    peaks, over = {"web": 0.0, "cpu": 0.0}, threading.Event()
    marks = {"web": "uvicorn", "cpu": "--queues cpu"}
    roots = {
        part: next(one for one in product.processes() if mark in " ".join(_words(one)))
        for part, mark in marks.items()
    }

    def look() -> None:
        while not over.wait(0.1):
            for part, root in roots.items():
                with suppress(psutil.NoSuchProcess):
                    family = [root, *root.children(recursive=True)]
                    peaks[part] = max(peaks[part], sum(map(_own_mb, family)))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


def _own_mb(process: psutil.Process) -> float:
    """What it shares with whoever forked it counts once, by parts."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return process.memory_full_info().pss / 2**20
    return 0.0


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()

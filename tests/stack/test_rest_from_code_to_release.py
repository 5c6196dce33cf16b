"""A script does the whole job over REST with an OpenAI-compatible server, and the counts add up at every step."""

import ast
import gzip
import hashlib
import io
import json
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pyarrow.parquet
import pytest

from tests.llm_server import Behaviour, serving
from tests.stack.product import Product, jsonl, running

pytestmark = pytest.mark.stack

SNIPPETS = 400
TASKS = {"summarization": 1, "generation": 2, "translation": 1, "repair": 1}


def standard_library_rows(rows: int) -> list[dict[str, Any]]:
    """Real functions with docstrings, as CodeSearchNet writes them."""
    found: list[dict[str, Any]] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        source = path.read_text()
        lines = source.splitlines(keepends=True)
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and (comment := ast.get_docstring(node)):
                code = "".join(lines[node.lineno - 1 : node.end_lineno])
                if 80 <= len(code) <= 3000 and len(comment) > 20:
                    found.append(
                        {
                            "repo": "python/cpython",
                            "path": f"Lib/{path.name}",
                            "func_name": node.name,
                            "original_string": code,
                            "language": "python",
                            "code": code,
                            "docstring": comment,
                            "sha": "0" * 40,
                            "url": "https://example.org/cpython",
                            "partition": "train",
                        }
                    )
    assert len(found) >= rows
    return found[:rows]


@pytest.fixture(scope="module")
def provider() -> Iterator[tuple[Behaviour, str]]:
    behaviour = Behaviour(latency_s=0.02, errors=0.02, unusable=0.03)
    with serving(behaviour) as url:
        yield behaviour, url


@pytest.fixture(scope="module")
def product(provider: tuple[Behaviour, str]) -> Iterator[Product]:
    with (
        tempfile.TemporaryDirectory(prefix="bw-") as folder,
        running(
            Path(folder) / "home",
            OPENAI_BASE_URL=provider[1],
            OPENAI_API_KEY="secret-key-of-the-test",
            GENERATOR_MODEL="test",
            DISCRIMINATOR_MODEL="test",
        ) as product,
    ):
        yield product


def test_from_raw_code_to_every_format_of_a_release(
    product: Product, provider: tuple[Behaviour, str]
) -> None:
    product.post("/api/v1/projects", 201, json={"name": "Walk"})
    project = "/api/v1/projects/walk"

    # ingest: good rows, one broken line, one row twice
    rows = standard_library_rows(SNIPPETS)
    upload = gzip.compress(jsonl([*rows, rows[0]]) + b'{"half": \n')
    ingested = product.finished(
        product.post(
            f"{project}/sources", 202, files={"file": ("rows.jsonl.gz", upload)}, data={"license": "PSF-2.0"}
        )
    )
    added = ingested["done"]["added"]
    assert ingested["total"] == SNIPPETS + 2
    assert ingested["done"]["duplicate"] >= 1
    assert added >= 200

    # select: picks with rank and radius
    selected = product.finished(product.post(f"{project}/selections", 202, json={"k": 200, "seed": 7}))
    assert selected["done"]["picked"] == 200

    # generate over four tasks
    generated = product.finished(
        product.post(f"{project}/generations", 202, json={"tasks": TASKS, "count": 800, "seed": 1})
    )
    assert generated["total"] == 800
    assert set(generated["done"]) <= {"passed", "failed_verdict", "invalid_verdict", "unusable"}
    instances = all_items(product, f"{project}/instances")
    assert len(instances) == 800
    by_task = Counter(instance["task"] for instance in instances)
    assert by_task == {"summarization": 160, "generation": 320, "translation": 160, "repair": 160}
    waiting = [instance for instance in instances if instance["status"] == "waiting"]
    assert len(waiting) == 800 - generated["done"].get("unusable", 0)
    # what the server answered is what the ledger holds; equal requests were asked and paid once
    calls = product.calls(generated["id"])
    assert calls["done"] == provider[0].answered
    assert calls["done"] + calls["cached"] >= 1600 - generated["done"].get("unusable", 0)

    # decide on 50
    decided = Counter(decide(product, project, number) for number in range(50))
    assert decided == {"accept": 30, "edit": 10, "reject": 10}

    # release
    formats = ["codeocean", "alpaca", "messages", "parquet"]
    product.finished(product.post(f"{project}/releases", 202, json={"name": "first", "formats": formats}))
    manifest = product.get(f"{project}/releases/first")
    assert manifest["rows"] == 40
    assert manifest["basis"] == "people"
    check_files(product, f"{project}/releases/first", manifest)
    assert product.get(f"{project}/releases/latest")["sha256"] == manifest["sha256"]


def decide(product: Product, project: str, number: int) -> str:
    answer = product.post(f"{project}/review/next", json={}).json()
    instance, lease = answer["instance"], answer["lease"]["token"]
    body: dict[str, Any] = {"action": "accept", "lease": lease}
    if number % 5 == 1:
        body = {
            "action": "edit",
            "lease": lease,
            "edits": {"instruction": f"{instance['instruction']} Number {number}."},
        }
    if number % 5 == 2:
        body = {"action": "reject", "lease": lease, "reason": "incorrect", "note": "by the test"}
    product.post(f"/api/v1/instances/{instance['id']}/decisions", 201, json=body)
    return str(body["action"])


def all_items(product: Product, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = product.get(f"{path}?limit=500{cursor}")
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = f"&cursor={page['next']}"


def check_files(product: Product, release: str, manifest: dict[str, Any]) -> None:
    by_format: dict[str, bytes] = {}
    for file in manifest["files"]:
        content = product.request("GET", f"{release}/files/{file['name']}").content
        assert hashlib.sha256(content).hexdigest() == file["sha256"], file["name"]
        assert len(content) == file["bytes"]
        by_format[file["format"]] = content
    assert set(by_format) >= {"codeocean", "alpaca", "messages", "parquet"}
    rows = [json.loads(line) for line in by_format["codeocean"].splitlines()]
    alpaca = [json.loads(line) for line in by_format["alpaca"].splitlines()]
    messages = [json.loads(line) for line in by_format["messages"].splitlines()]
    table = pyarrow.parquet.read_table(io.BytesIO(by_format["parquet"]))
    assert len(rows) == len(alpaca) == len(messages) == table.num_rows == manifest["rows"]
    assert [row["solution"] for row in rows] == [row["output"] for row in alpaca]
    assert [row["id"] for row in rows] == table.column("id").to_pylist()
    assert {row["task"] for row in rows} <= set(TASKS)
    assert len({row["hash"] for row in rows}) == len(rows)


def test_a_run_that_moves_is_told_as_it_moves(product: Product) -> None:
    product.post("/api/v1/projects", 201, json={"name": "Events"})
    headers = {"Authorization": f"Bearer {product.token}"}
    with httpx2.stream("GET", f"{product.url}/api/v1/events", headers=headers, timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": listening"
        upload = jsonl(standard_library_rows(20))
        accepted = product.post(
            "/api/v1/projects/events/sources", 202, files={"file": ("rows.jsonl", upload)}
        )
        told = (json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))
        run = next(one for one in told if one["state"] == "completed")
    assert accepted.headers["Location"].endswith(f"/{run['id']}")
    assert run["total"] == 20 == sum(run["done"].values())


def test_the_key_is_nowhere_in_what_the_product_wrote(product: Product) -> None:
    written = [
        path for path in product.home.rglob("*") if path.is_file() and path.stat().st_size < 50_000_000
    ]
    assert [path for path in written if b"secret-key-of-the-test" in path.read_bytes()] == []

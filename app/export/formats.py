"""Rows of a release in the shapes that training programs read. Pure."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from app.guarantee.lot import hash_without

SCHEMA_VERSION = 1

Row = Mapping[str, Any]


class Admitted(NamedTuple):
    """An instance that goes into a release, with what is said about it there."""

    instance_id: int
    task: str
    task_name: str
    instruction: str
    information: str
    solution: str
    language: str
    target_language: str | None
    revision: int
    generator: str
    discriminator: str
    action: str
    served_as_exemplar: bool
    repo: str | None
    path: str | None
    sha: str | None
    url: str | None
    license: str | None
    snippet_hash: str | None


def codeocean(project: str, admitted: Admitted) -> Row:
    """The whole row. Its `hash` is SHA-256 over the canonical JSON of everything else in it."""
    row = {
        "id": f"{project}-{admitted.instance_id}",
        "schema_version": SCHEMA_VERSION,
        "task": admitted.task,
        "task_name": admitted.task_name,
        "instruction": admitted.instruction,
        "information": admitted.information,
        "solution": admitted.solution,
        "language": admitted.language,
        "target_language": admitted.target_language,
        "source": {
            "repo": admitted.repo,
            "path": admitted.path,
            "sha": admitted.sha,
            "url": admitted.url,
            "license": admitted.license,
            "snippet_hash": admitted.snippet_hash,
        },
        "generator": admitted.generator,
        "discriminator": admitted.discriminator,
        "decision": admitted.action,
        "revision": admitted.revision,
        "served_as_exemplar": admitted.served_as_exemplar,
    }
    return {**row, "hash": row_hash(row)}


def row_hash(row: Row) -> str:
    """SHA-256 of a codeocean row without its own `hash`."""
    return hash_without(row, "hash")


def alpaca(row: Row) -> Row:
    """What WaveCoder trained on: information is the input, the solution the output."""
    return {"instruction": row["instruction"], "input": row["information"], "output": row["solution"]}


def messages(row: Row) -> Row:
    """A line of OpenAI chat fine-tuning."""
    return {
        "messages": [
            {"role": "user", "content": _request(row)},
            {"role": "assistant", "content": row["solution"]},
        ]
    }


def sharegpt(row: Row) -> Row:
    return {
        "conversations": [
            {"from": "human", "value": _request(row)},
            {"from": "gpt", "value": row["solution"]},
        ]
    }


def line(row: Row) -> bytes:
    """One line of JSONL."""
    return json.dumps(row, ensure_ascii=False, separators=(", ", ": ")).encode() + b"\n"


def _request(row: Row) -> str:
    return "\n\n".join(part for part in (row["instruction"], row["information"]) if part)


CODEOCEAN = "codeocean"
PARQUET = "parquet"
ALWAYS_BUILT = (CODEOCEAN, PARQUET)  # the card's `configs` name the Parquet files
DERIVED: dict[str, Callable[[Row], Row]] = {"alpaca": alpaca, "messages": messages, "sharegpt": sharegpt}
FORMATS = (*ALWAYS_BUILT, *DERIVED)


def file_name(format_: str, split: str) -> str:
    return f"{split}.parquet" if format_ == PARQUET else f"{format_}.{split}.jsonl"


def parsed_file_name(name: str) -> tuple[str, str] | None:
    """(format, split) of a data file's name; None for any other name."""
    if name.endswith(".parquet"):
        return PARQUET, name.removesuffix(".parquet")
    format_, _, rest = name.partition(".")
    if format_ in FORMATS and rest.endswith(".jsonl"):
        return format_, rest.removesuffix(".jsonl")
    return None

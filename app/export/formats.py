"""Rows of a release in the shapes that training programs read. Pure."""

import json
from collections.abc import Callable

from app.rows.codeocean import Row


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


CARD, MANIFEST, CERTIFICATE = "README.md", "manifest.json", "certificate.json"
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

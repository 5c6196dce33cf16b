"""Rows shaped like CodeSearchNet's, valid by default."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CODE = '''def double_and_add(first, second):
    """Double the first number and add the second."""
    doubled = first * 2
    return doubled + second
'''


def csn_row(**values: Any) -> dict[str, Any]:
    """A row by the field names of the original release."""
    return {
        "repo": "owner/numbers",
        "path": "numbers/arithmetic.py",
        "func_name": "double_and_add",
        "original_string": CODE,
        "language": "python",
        "code": CODE,
        "code_tokens": ["def", "double_and_add"],
        "docstring": "Double the first number and add the second.",
        "docstring_tokens": ["Double"],
        "sha": "a" * 40,
        "url": "https://github.com/owner/numbers/blob/a/numbers/arithmetic.py#L1-L4",
        "partition": "train",
    } | values


def numbered_row(number: int, **values: Any) -> dict[str, Any]:
    """A row whose code differs from that of every other number."""
    return csn_row(code=CODE.replace("double_and_add", f"double_and_add_{number}")) | values


def jsonl(rows: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def written(folder: Path, content: bytes, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path

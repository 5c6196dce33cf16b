"""A frozen lot: what its rows are, in which order they are read, and which are read twice. Pure.

Rows are frozen and logged before the seed is drawn, so that nobody can choose an order, or a lot for an order.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from app.pipeline import Part

NOT_CONTENT = ("hash", "decision", "revision", "served_as_exemplar")
"""What a release row says about its making. An audit of its content fixes everything else."""


class Frozen(NamedTuple):
    """A row of a lot."""

    id: str  # of the release row
    hash: str  # its `content_hash`
    part: str  # random, or census


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys and without spaces: equal values have equal bytes."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def hash_without(value: Mapping[str, Any], *keys: str) -> str:
    """SHA-256 over the canonical JSON of everything in `value` but `keys`."""
    return _sha256(canonical({key: one for key, one in value.items() if key not in keys}))


def content_hash(row: Mapping[str, Any]) -> str:
    """SHA-256 of what a reader judges in a codeocean row, and of where it comes from."""
    return hash_without(row, *NOT_CONTENT)


def lot_bytes(rows: Iterable[Frozen]) -> bytes:
    """lot.jsonl: a line `{"id", "hash", "part"}` for each row, by id as text. Its SHA-256 is the lot's."""
    lines = [json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in sorted(rows)]
    return "".join(lines).encode()


def lot_hash(rows: Iterable[Frozen]) -> str:
    return _sha256(lot_bytes(rows))


def order(ids: Iterable[str], seed: str) -> list[str]:
    """The ids of the random part as they are drawn: by SHA-256 of `<seed> draw <id>`, position 1 first."""
    return sorted(ids, key=lambda row_id: (_sha256(f"{seed} draw {row_id}".encode()), row_id))


def census_order(rows: Iterable[Frozen]) -> list[str]:
    """The ids of the census part as they are read: by id."""
    return sorted(row.id for row in rows if row.part == Part.CENSUS)


def order_hash(ids_in_order: Sequence[str]) -> str:
    """SHA-256 of the ids with line feeds between."""
    return _sha256("\n".join(ids_in_order).encode())


def read_twice(row_id: str, seed: str, share: float) -> bool:
    """Whether the seed chose this row for a second reader; true of `share` of all rows, in expectation."""
    drawn = hashlib.sha256(f"{seed} twice {row_id}".encode()).digest()
    return int.from_bytes(drawn[:8]) / 2**64 < share


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

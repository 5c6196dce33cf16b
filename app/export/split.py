"""Which rows go into which split. Pure and deterministic: the same repository lands on the same side for ever."""

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple


class Placed(NamedTuple):
    """What decides about a row's split."""

    repo: str
    text_hash: str


def assign(rows: Sequence[Placed], shares: Mapping[str, float]) -> list[str]:
    """The split of each row. A repository, and rows of the same text, never lie on two sides.

    The shares are met in expectation: a group of rows is drawn as a whole, by the hash of its first name.
    """
    if len(shares) == 1:
        return [next(iter(shares))] * len(rows)
    groups = _Groups()
    for row in rows:
        groups.join(("repo", row.repo), ("text", row.text_hash))
    smallest: dict[Hashable, tuple[str, str]] = {}
    for row in rows:
        name = ("repo", row.repo)
        root = groups.root(name)
        smallest[root] = min(smallest.get(root, name), name)
    return [_drawn(smallest[groups.root(("repo", row.repo))][1], shares) for row in rows]


def _drawn(name: str, shares: Mapping[str, float]) -> str:
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
    reached = 0.0
    for split, share in shares.items():
        reached += share
        if place < reached:
            return split
    return list(shares)[-1]  # the shares' sum may be a rounding error below 1


class _Groups:
    """Union-find with path halving."""

    def __init__(self) -> None:
        self._parent: dict[Hashable, Hashable] = {}

    def root(self, name: Hashable) -> Hashable:
        parent = self._parent
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def join(self, one: Hashable, other: Hashable) -> None:
        self._parent[self.root(one)] = self.root(other)

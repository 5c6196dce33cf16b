"""Files of the two corpora: a head of `name: value` lines, a line of dashes, and the text as it came in."""

import codecs
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

_HERE = Path(__file__).parent


class Exhibit(NamedTuple):
    """One text. `seen` says where such a text was seen, `way` what is wrong with it."""

    name: str
    seen: str
    way: str
    head: Mapping[str, str]
    text: str

    def json(self, field: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.head.get(field, "{}"))
        return value


@cache
def exhibits(folder: str) -> tuple[Exhibit, ...]:
    """All of `replies` or `attacks`, by name."""
    return tuple(_exhibit(path) for path in sorted((_HERE / folder).glob("*.txt")))


def _exhibit(path: Path) -> Exhibit:
    lines, _, text = path.read_text(encoding="utf-8").partition("\n---\n")
    head = dict(line.split(": ", 1) for line in lines.splitlines())
    if head.get("escaped") == "yes":  # of characters that no editor shows
        text = codecs.decode(text, "unicode_escape")
    return Exhibit(path.stem, head["seen"], head["way"], head, text)

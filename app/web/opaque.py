"""Values that we hand out and get back as text: whoever sends one may have made it up. Pure."""

import base64
import binascii
import json
from typing import Any

MOST_CHARACTERS = 8_000  # a browser keeps half of it in a cookie; a cursor is far shorter


def opaque(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def read_opaque(text: str) -> Any:
    """The value behind a text of `opaque`; raises ValueError for anything that is none."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError("too long")
    try:
        text = text.rstrip("=")
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, RecursionError) as error:
        raise ValueError("not ours") from error

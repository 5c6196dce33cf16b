"""Text and numbers from outside in a form that a database column takes. Pure."""

import math

MOST_TOKENS = 100_000_000
"""No reply has more; a larger number is a mistake and counts as not said."""


def storable(text: str, most: int | None = None) -> str:
    """Without what Postgres text cannot hold: NUL, and halves of characters; cut to `most` characters."""
    if most is not None:
        text = text[:most]
    return text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def tokens(said: object) -> int:
    """A number of tokens, from whatever a server sends in its place; 0 where it says nothing that can be one."""
    if isinstance(said, str):
        said = int(said) if said.isascii() and said.isdecimal() and len(said) <= 12 else 0
    if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said):
        return 0
    return int(said) if 0 <= said <= MOST_TOKENS else 0

"""Licences as SPDX expressions. What is not one is unknown; nothing is guessed. Pure."""

import re
from functools import lru_cache

from boolean.boolean import ParseError
from license_expression import AND, OR, ExpressionError, LicenseExpression, get_spdx_licensing

from app.errors import InvalidInput

_CUSTOM = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")
_SPDX = get_spdx_licensing()


def spdx(text: str | None) -> str | None:
    """The canonical SPDX expression that `text` is ("mit" -> "MIT"), or None when it is none."""
    text = (text or "").strip()
    if _CUSTOM.fullmatch(text):
        return text
    parsed = _parsed(text)
    return None if parsed is None else _rendered(parsed)


def checked_spdx(text: str | None) -> str | None:
    """What somebody typed as a licence; nothing is unknown. Raises InvalidInput for what is not SPDX."""
    if not text:
        return None
    found = spdx(text)
    if found is None:
        raise InvalidInput(f"“{text}” is not an SPDX licence expression, such as MIT", "license")
    return found


def admits(allowed: list[str], license_: str | None) -> bool:
    """Whether a list of SPDX ids, in any spelling, admits an expression: one side of an OR, both of an AND.

    An unknown licence is on no list.
    """
    canonical = {spdx(one) for one in allowed} - {None}
    if license_ in canonical:
        return True
    parsed = _parsed(license_ or "")
    return parsed is not None and _admits(canonical, parsed)


def _admits(allowed: set[str | None], parsed: LicenseExpression) -> bool:
    if isinstance(parsed, OR):
        return any(_admits(allowed, part) for part in parsed.args)
    if isinstance(parsed, AND):
        return all(_admits(allowed, part) for part in parsed.args)
    return _rendered(parsed) in allowed


def _rendered(parsed: LicenseExpression) -> str:
    return str(parsed.render())  # pyright: ignore[reportAttributeAccessIssue] - not in the library's types


@lru_cache(maxsize=1000)
def _parsed(text: str) -> LicenseExpression | None:
    if len(text) > 500:
        return None
    try:
        return _SPDX.parse(text, validate=True)
    except (ExpressionError, ParseError, LookupError):  # "()" is an IndexError inside the library
        return None

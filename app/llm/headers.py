"""What a provider says in the headers of its answers. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_PARTS = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait: given as a number or as a date (RFC 9110, 10.2.3). None where there is no sense in it."""
    said = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(said)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def limit_per_minute(headers: Mapping[str, str], what: str) -> int | None:
    """The limit of `requests` or `tokens`, where the headers show that it is one of a minute.

    Some providers send a limit of a day under the same name. A bucket that refills evenly is full again after
    `reset`, so the time for all of it is reset * limit / used.
    """
    try:
        limit = int(headers[f"x-ratelimit-limit-{what}"])
        used = limit - int(headers[f"x-ratelimit-remaining-{what}"])
    except (KeyError, ValueError):
        return None
    reset = duration(headers.get(f"x-ratelimit-reset-{what}", ""))
    if reset is None or used <= 0 or limit <= 0:
        return None
    return limit if 30 <= reset * limit / used <= 120 else None


def duration(text: str) -> float | None:
    """Seconds, from the likes of "6m0s", "120ms" or "2.5"."""
    if not text:
        return None
    parts = _PARTS.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    try:
        return float(text)
    except ValueError:
        return None

"""What a provider says in the headers and the body of its answers. Pure; every number is bounded here.

Nothing that a server sends reaches an interval, a timestamp or a column of the database unbounded.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

LONGEST_WAIT_S = 3600.0
"""Nobody waits longer before asking again, whatever a provider says."""

_SENSIBLE_S = 7 * 86400.0  # a wait beyond this is a mistake, and no wait at all
_EPOCHS = (1.0, 1e3, 1e6, 1e9)  # a moment in seconds, milli-, micro- or nanoseconds since 1970
_LONGEST_TEXT = 64
_PART = r"(\d{1,12}(?:\.\d{1,12})?)(ms|s|m|h|d)"
_PARTS = re.compile(_PART)
_DURATION = re.compile(rf"(?:{_PART}){{1,6}}")
_COUNT = re.compile(r"[0-9]{1,12}")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RETRY_DELAYS = 20  # places of a body that are looked at


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait, from 0 to an hour; None where there is no sense in what is said.

    Given as milliseconds of their own header, as a number of seconds, as a date (RFC 9110, 10.2.3) or as a duration.
    A number that is within a week of now when it is taken for seconds, milli-, micro- or nanoseconds since 1970 is a
    moment. Any other that means more than a week says nothing; a shorter wait is cut to an hour.
    """
    now = now or datetime.now(UTC)
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None and (wait := _sensible(milliseconds / 1000)) is not None:
        return wait
    said = headers.get("retry-after", "").strip()[:_LONGEST_TEXT]
    number = _number(said)
    if number is not None:
        return _sensible(_from_now(number, now.timestamp()))
    if (lasting := duration(said)) is not None:
        return _sensible(lasting)
    try:
        date = parsedate_to_datetime(said)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return _sensible((date - now).total_seconds())
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def retry_delay(body: object) -> float | None:
    """Seconds to wait as Google's RetryInfo says it in the body of an error; bounded like `retry_after`."""
    for error in _errors(body):
        details = error.get("details")
        for detail in cast(Sequence[object], details)[:_RETRY_DELAYS] if isinstance(details, list) else ():
            said = cast(Mapping[str, Any], detail).get("retryDelay") if isinstance(detail, Mapping) else None
            if isinstance(said, str) and (wait := _sensible(duration(said))) is not None:
                return wait
    return None


def limit_per_minute(headers: Mapping[str, str], what: str) -> int | None:
    """The limit of `requests` or `tokens`, where the headers show that it is one of a minute.

    Some providers send a limit of a day under the same name. A bucket that refills evenly is full again after
    `reset`, so the time for all of it is reset * limit / used.
    """
    limit = _count(headers.get(f"x-ratelimit-limit-{what}", ""))
    remaining = _count(headers.get(f"x-ratelimit-remaining-{what}", ""))
    reset = duration(headers.get(f"x-ratelimit-reset-{what}", ""))
    if limit is None or remaining is None or reset is None:
        return None
    used = limit - remaining
    if used <= 0 or limit <= 0:
        return None
    return limit if 30 <= reset * limit / used <= 120 else None


def duration(text: str) -> float | None:
    """Seconds, from the likes of "6m0s", "120ms" or "2.5"; None where they are not finite."""
    if _DURATION.fullmatch(text):
        return sum(float(number) * _SECONDS[unit] for number, unit in _PARTS.findall(text))
    return _number(text)


def _number(text: str) -> float | None:
    if not text or len(text) > _LONGEST_TEXT:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _count(text: str) -> int | None:
    return int(text) if _COUNT.fullmatch(text.strip()) else None


def _from_now(number: float, now_s: float) -> float:
    """A wait as it is; of a moment, how far off it is."""
    moments = (number / unit - now_s for unit in _EPOCHS)
    return next((wait for wait in moments if abs(wait) <= _SENSIBLE_S), number)


def _sensible(seconds: float | None) -> float | None:
    if seconds is None or not math.isfinite(seconds) or seconds > _SENSIBLE_S:
        return None
    return min(LONGEST_WAIT_S, max(0.0, seconds))


def _errors(body: object) -> Iterator[Mapping[str, Any]]:
    """The error objects of a body: alone, under `error`, or the first of a list of either."""
    one: object = cast(list[object], body)[0] if isinstance(body, list) and body else body
    if isinstance(one, Mapping):
        mapping = cast(Mapping[str, Any], one)
        yield mapping
        if isinstance(inner := mapping.get("error"), Mapping):
            yield cast(Mapping[str, Any], inner)

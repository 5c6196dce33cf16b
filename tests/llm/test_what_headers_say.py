"""Limits and waits that a provider tells in its headers."""

from datetime import UTC, datetime

import pytest

from app.llm.headers import limit_per_minute, retry_after

NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("1.5", 1.5),
        ("-3", 0.0),
        ("Mon, 23 Nov 2026 08:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 07:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_a_wait_is_a_number_or_a_date(said: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": said}, NOW) == seconds


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "per_minute"),
    [
        ("500", "499", "120ms", 500),
        ("30000", "15000", "30s", 30000),
        ("1200", "600", "30", 1200),
        ("14400", "14399", "6s", None),  # 6 s for one: it is the limit of a day
        ("14400", "7200", "12h0m0s", None),
        ("500", "500", "0s", None),  # nothing used yet: it cannot be told
        ("many", "1", "1s", None),
        ("500", "499", "a while", None),
    ],
)
def test_a_limit_counts_when_it_is_one_of_a_minute(
    limit: str, remaining: str, reset: str, per_minute: int | None
) -> None:
    headers = {
        "x-ratelimit-limit-requests": limit,
        "x-ratelimit-remaining-requests": remaining,
        "x-ratelimit-reset-requests": reset,
    }

    assert limit_per_minute(headers, "requests") == per_minute
    assert limit_per_minute({}, "requests") is None

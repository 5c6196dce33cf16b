"""Limits and waits that a provider tells in its headers, and nothing that no interval could take."""

from datetime import UTC, datetime

import pytest

from app.llm.headers import LONGEST_WAIT_S, duration, limit_per_minute, retry_after, retry_delay
from app.prompting.storable import storable, tokens

NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("1.5", 1.5),
        ("-3", 0.0),
        ("Mon, 23 Nov 2026 08:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 07:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("1m30s", 90.0),
        ("34.5s", 34.5),
        ("86400", LONGEST_WAIT_S),
        ("3600", 3600.0),
        (str(EPOCH + 20), 20.0),
        (str((EPOCH + 20) * 1000), 20.0),
        (str((EPOCH + 20) * 1_000_000), 20.0),
        (str((EPOCH + 20) * 1_000_000_000), 20.0),
        (str(EPOCH - 60), 0.0),
        (str(EPOCH + 86400), LONGEST_WAIT_S),
        ("inf", None),
        ("-inf", None),
        ("nan", None),
        ("1e300", None),
        ("9" * 400, None),
        ("999999999999d", None),
        ("Mon, 23 Nov 9999 08:00:30 GMT", None),
        ("Mon, 23 Nov 99999999999999999999 08:00:30 GMT", None),
        ("Mon, 23 Nov 2026 08:00:30 +99999999", None),
        ("１２", 12.0),
        ("\udcff", None),
    ],
)
def test_a_wait_is_a_number_a_date_or_a_moment_and_never_beyond_an_hour(
    said: str, seconds: float | None
) -> None:
    assert retry_after({"retry-after": said}, NOW) == seconds


@pytest.mark.parametrize(("said", "seconds"), [("1500", 1.5), ("inf", 7.0), ("1e300", 7.0), ("-1", 0.0)])
def test_milliseconds_come_first_where_there_is_sense_in_them(said: str, seconds: float) -> None:
    assert retry_after({"retry-after-ms": said, "retry-after": "7"}, NOW) == seconds


@pytest.mark.parametrize("delay", ["34.5s", "1e300", "inf", "-5s", 12, None, {"seconds": 3}])
@pytest.mark.parametrize("is_list", [True, False])
def test_a_delay_in_the_body_is_bounded_too(delay: object, is_list: bool) -> None:
    said = {
        "error": {"details": [1, {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]}
    }

    assert retry_delay([said] if is_list else said) == (34.5 if delay == "34.5s" else None)
    assert retry_delay("no body") is retry_delay([]) is None


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
        ("9" * 400, "0", "60", None),
        ("1e300", "0", "60", None),
        ("-5", "-6", "60", None),
        ("500", "499", "inf", None),
        ("500", "499", "nan", None),
        ("500", "499", "9" * 5000, None),
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


def test_a_duration_is_finite() -> None:
    assert [duration(text) for text in ("6m0s", "120ms", "2.5", "inf", "1" * 1000 + "s")] == [
        360.0,
        0.12,
        2.5,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("said", "number"),
    [
        (7, 7),
        (7.9, 7),
        ("7", 7),
        (None, 0),
        (True, 0),
        (-1, 0),
        (1e300, 0),
        (10**30, 0),
        (float("nan"), 0),
        ("many", 0),
        ("9" * 50, 0),
        ("７", 0),
        ([7], 0),
        ({}, 0),
    ],
)
def test_tokens_are_a_number_that_a_column_holds(said: object, number: int) -> None:
    assert tokens(said) == number


def test_what_is_stored_is_text() -> None:
    assert storable("K\x00f2rsou \ud83d \U0001f600", most=12) == "K\ufffdf2rsou \ufffd \U0001f600"

"""How numbers and times read."""

from datetime import UTC, datetime, timedelta

import pytest

from app.web import formats
from app.web.highlighting import code_html

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("micro", "read"),
    [(0, "$0.00"), (12_300_000, "$12.30"), (150_000, "$0.15"), (400, "$0.0004"), (2, "$0.000002")],
)
def test_money(micro: int, read: str) -> None:
    assert formats.usd(micro) == read


@pytest.mark.parametrize(
    ("back", "read"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=1, hours=2), "1 day ago"),
        (timedelta(days=400), "1 year ago"),
        (timedelta(minutes=-5), "in 5 min"),
    ],
)
def test_how_long_ago(back: timedelta, read: str) -> None:
    assert formats.ago(NOW - back, NOW) == read


def test_other_numbers() -> None:
    assert formats.count(1234567) == "1,234,567"
    assert formats.percent(1, 8) == "12.5 %"
    assert formats.percent(1, 0) == "–"
    assert [formats.size(number) for number in (12, 4_200_000)] == ["12 B", "4.2 MB"]
    assert [formats.duration(seconds) for seconds in (0.34, 12, 185, 7800)] == [
        "340 ms",
        "12 s",
        "3 min 5 s",
        "2 h 10 min",
    ]


def test_what_came_from_others_is_shown_as_text() -> None:
    nasty = "<script>alert(1)</script>"

    assert "<script" not in formats.code_spans(f"see `{nasty}` and {nasty}")
    for language in ("python", "javascript", "php", "brainf**k", None):
        assert "<script" not in code_html(nasty, language)


def test_code_keeps_its_lines_whatever_ends_them() -> None:
    code = "a = 1\r\n\n\tb = '''\n x'''\n"

    html = code_html(code, "python")

    assert html.count("data-line=") == len(code.removesuffix("\n").split("\n"))

"""How numbers and times read on a page. Pure."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from markupsafe import Markup, escape

MICRO = 1_000_000


def count(number: int) -> str:
    """1234567 -> "1,234,567"."""
    return f"{number:,}"


def pretty_json(value: Any) -> str:
    """A value of JSON over several lines, its texts as they are."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def usd(micro: int) -> str:
    """Micro-dollars: "$12.30", "$0.15", "$0.0004", "$0.000002"."""
    dollars = micro / MICRO
    if micro == 0 or abs(dollars) >= 1:
        return f"${dollars:,.2f}"
    shown = f"{dollars:.4f}" if abs(dollars) >= 0.0001 else f"{dollars:.6f}"
    whole, _, places = shown.partition(".")
    return f"${whole}.{places.rstrip('0').ljust(2, '0')}"


def percent(part: float, whole: float) -> str:
    """ "12.3 %"; of nothing, a dash."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def size(number: int) -> str:
    """Bytes: "512 B", "4.2 MB"."""
    amount, unit = float(number), "B"
    for bigger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, bigger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def duration(seconds: float | timedelta) -> str:
    """ "340 ms", "12 s", "3 min 5 s", "2 h 10 min"."""
    total = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    if total < 1:
        return f"{total * 1000:.0f} ms"
    minutes, rest = divmod(round(total), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """ "just now", "5 min ago", "3 days ago"; the exact time belongs into the title."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if abs(seconds) < 45:
        return "just now"
    steps = ((60, "min"), (3600, "h"), (86400, "day"), (86400 * 30, "month"), (86400 * 365, "year"))
    length, unit = next((step for step, bigger in pairwise(steps) if abs(seconds) < bigger[0]), steps[-1])
    number = max(1, round(abs(seconds) / length))
    plural = "s" if number != 1 and unit not in ("min", "h") else ""
    return f"{number} {unit}{plural} ago" if seconds > 0 else f"in {number} {unit}{plural}"


def exact_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def code_spans(text: str) -> Markup:
    """Plain text with `code` between backticks, as HTML; everything is escaped."""
    parts = text.split("`")
    return Markup().join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def web_address(url: str) -> str:
    """`url` where it leads to a web page, else nothing: a stranger's `javascript:` must not become a link."""
    return url if url.startswith(("https://", "http://")) else ""


def words(code: str) -> str:
    """A code such as `completed_with_errors`, in words."""
    return code.replace("_", " ")

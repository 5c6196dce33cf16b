"""What is asked of the service under siege, what was seen of each load, and how it is told."""

import math
import statistics
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks._siege_line import CLOSED, HUNG
from benchmarks._siege_scene import Scene, Tally
from benchmarks._siege_witness import OK, READER, Seen

HEALTHZ_P99_MS = 1000.0
SERVED = 0.99
ABOVE_IDLE_MB = 400.0
CANCELLED_WITHIN_S = 10.0
TAKEN_MB = (
    12.0  # of a body before it is refused: the limit of requests that are no uploads, and what sockets hold
)
DONE_BESIDE = 0.5

BROKE = "could not be done"  # begins the outcome of a part of a load that the service did not even let begin

Attack = Callable[[Scene, Tally, float], Awaitable[None]]


class Load(NamedTuple):
    """One way to besiege, and what is asked of it beyond the goals of all."""

    name: str
    attack: Attack
    answers: bool = False  # whether every request of it has to be answered
    alone: bool = False  # whether nothing else keeps the service busy, so that a 503 is a lie
    fresh: bool = False  # begins as soon as a new web process answers
    before: Callable[[Scene], None] | None = None
    after: Callable[[Scene, Tally], None] | None = None


@dataclass
class Suffered:
    """One load, and what was seen meanwhile."""

    load: Load
    tally: Tally
    seen: list[Seen] = field(default_factory=list)
    above_idle_mb: float = 0.0
    restarts: int = 0
    broken: dict[str, int] = field(default_factory=dict)  # addresses that were answered with 500
    stood_still: bool = False  # nobody was answered when it was over

    @property
    def waits_ms(self) -> list[float]:
        return [one.waited_ms for one in self.seen if one.who != READER]

    @property
    def reads(self) -> list[bool]:
        return [one.outcome == OK for one in self.seen if one.who == READER]

    @property
    def errors_500(self) -> int:
        """As the clients saw them or as the log has them: who has gone sees none, and a log may be cut."""
        told = [*self.tally.outcomes.elements(), *(one.outcome for one in self.seen)]
        return max(sum(one.startswith("5") and one != "503" for one in told), sum(self.broken.values()))

    def faults(self) -> Iterator[str]:
        """Which goals were missed."""
        if self.stood_still:
            yield "stood still"
        if (p99 := percentile(self.waits_ms, 99)) >= HEALTHZ_P99_MS:
            yield f"healthz {p99:.0f} ms"
        if share(self.reads) < SERVED:
            yield f"others {share(self.reads):.1%}"
        if self.errors_500:
            yield f"{self.errors_500} x 500"
        if self.above_idle_mb > ABOVE_IDLE_MB:
            yield f"{self.above_idle_mb:.0f} MB above idle"
        if self.restarts:
            yield f"web ended {self.restarts} x"
        yield from self.own_faults()

    def own_faults(self) -> Iterator[str]:
        """Those that are asked of this load alone; none is about the time of an answer."""
        outcomes, figures = self.tally.outcomes, self.tally.figures
        yield from (what for what in outcomes if what.startswith(BROKE))
        if self.load.answers and (unanswered := outcomes[HUNG] + outcomes[CLOSED]):
            yield f"{unanswered} not answered"
        if self.load.alone and outcomes["503"]:
            yield f"{outcomes['503']} x 503"
        if figures.get("cancelled_within_s", 0) > CANCELLED_WITHIN_S:
            yield f"cancelled step after {figures['cancelled_within_s']:.0f} s"
        for name in ("body_taken_mb", "json_taken_mb"):
            if figures.get(name, 0) > TAKEN_MB:
                yield f"{figures[name]:.0f} MB taken"
        if figures.get("done_beside_what_is_held", 1) < DONE_BESIDE:
            yield f"{figures['done_beside_what_is_held']:.0%} done beside"


# --- telling it -------------------------------------------------------------------------------------------


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that so many per cent are at most; infinite without any."""
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else math.inf


def share(answered: Sequence[bool]) -> float:
    return sum(answered) / len(answered) if answered else 1.0


_COLUMNS = ("load", "asked", "p50 ms", "p99 ms", "max ms", "others", "MB above", "500s", "verdict")
_WIDTHS = (33, 6, 7, 7, 7, 7, 8, 5, 0)


def heading() -> str:
    return _line(*_COLUMNS)


def _line(*cells: object) -> str:
    first, *rest = (str(cell).rjust(width) for cell, width in zip(cells, _WIDTHS, strict=True))
    return "  ".join([first.strip().ljust(_WIDTHS[0]), *rest])


def show(one: Suffered) -> None:
    waits = one.waits_ms or [math.inf]
    print(
        _line(
            one.load.name,
            one.tally.outcomes.total(),
            f"{statistics.median(waits):.0f}",
            f"{percentile(waits, 99):.0f}",
            f"{max(waits):.0f}",
            f"{share(one.reads):.1%}",
            f"{one.above_idle_mb:.0f}",
            one.errors_500,
            "; ".join(one.faults()) or "ok",
        )
    )
    print(f"    answered {dict(one.tally.outcomes)} {one.tally.figures or ''}".rstrip())
    if one.broken:
        print(f"    500 at {one.broken}")
    print(end="", flush=True)


def summary(found: Sequence[Suffered]) -> dict[str, Any]:
    """The figures over all loads."""
    waits = [ms for one in found for ms in one.waits_ms]
    reads = [is_served for one in found for is_served in one.reads]
    cancelled = [s for one in found if (s := one.tally.figures.get("cancelled_within_s")) is not None]
    taken = [one.tally.figures.get(name, 0.0) for one in found for name in ("body_taken_mb", "json_taken_mb")]
    return {
        "loads": len(found),
        "healthz_p99_ms": round(percentile(waits, 99), 1),
        "healthz_p99_ms_worst_load": round(max(percentile(one.waits_ms, 99) for one in found), 1),
        "healthz_max_ms": round(max(waits, default=0.0), 1),
        "errors_500": sum(one.errors_500 for one in found),
        "served_meanwhile": round(share(reads), 4),
        "served_meanwhile_worst_load": round(min(share(one.reads) for one in found), 4),
        "web_rss_above_idle_mb": round(max(one.above_idle_mb for one in found)),
        "body_taken_mb": max(taken),
        "temp_disk_mb": max(one.tally.figures.get("temp_disk_mb", 0.0) for one in found),
        "cancelled_within_s": max(cancelled, default=-1),
        "stood_still": sum(one.stood_still for one in found),
        "restarts": sum(one.restarts for one in found),
        "missed": {one.load.name: missed for one in found if (missed := list(one.faults()))},
    }

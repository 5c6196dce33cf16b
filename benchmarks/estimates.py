"""Whether a 95 % interval holds the true share in 95 of 100 samples, and what the predictions save.

    python -m benchmarks.estimates [--full] [--data FILE]

With `--data`, on real people's grades: JSON lines, perhaps gzipped, with `human_grades` {grader: 0 to 4}, one `*_score`
or more (0 to 4 or null) and perhaps `codebertscore` {F1}. Good is a mean grade of at least 3; its share among all
lines is the truth. 300 labels are drawn with replacement, 1,000 times, and estimate it without and with each judge:
by its score, by its verdict (pass: a score of at least 3; null: unreadable) and by the place of CodeBERTScore among
all, as its values crowd together. Without a file, on generated instances with judges of known worth, labels drawn
with and without replacement. `--full`: 20,000 times. All judges are tried on the same draws.
"""

import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import benchmarks
from app.dashboard.agreement import Estimate
from app.dashboard.estimates import PREDICTION, Level, estimates
from app.pipeline import Verdict

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LABELS = 300
GOOD_GRADE = 3
BEST_GRADE = 4
SEED = 1
WITHIN = (0.93, 0.97)

GENERATED = 2_000
FEW_LABELS = (20, 50, LABELS)
SHARES = (0.5, 0.8, 0.95, 0.99)
UNREADABLE = 0.03
JUDGES = {  # share of good ones passed, of others failed
    "no help": (0.5, 0.5),
    "works against": (0.2, 0.2),
    "strict": (0.6, 0.95),
    "lenient": (0.95, 0.6),
    "fair": (0.8, 0.8),
    "excellent": (0.95, 0.95),
}


class Covered(NamedTuple):
    """How often an interval held the truth, and its mean width: people only, then with predictions."""

    people: float
    powered: float
    people_width: float
    powered_width: float
    weight: float

    @property
    def narrower(self) -> float:
        return 1 - self.powered_width / self.people_width

    def shown(self) -> dict[str, float]:
        return {
            name: round(value, 4) for name, value in (self._asdict() | {"narrower": self.narrower}).items()
        }


def cover(good: Bools, predicted: Floats, labels: int, times: int, *, replace: bool) -> Covered:
    """Draw `labels` of the instances and estimate the share of `good` (N,) ones, so many `times`."""
    prediction, level = np.unique(predicted, return_inverse=True)
    instances = np.bincount(level)
    truth = float(good.mean())
    draw = np.random.default_rng(SEED)
    found = np.empty((times, len(Covered._fields)))
    for number in range(times):
        drawn = draw.choice(len(good), labels, replace=replace)
        labelled = np.bincount(level[drawn], minlength=len(prediction))
        of_them_good = np.bincount(level[drawn[good[drawn]]], minlength=len(prediction))
        levels = [Level(*row) for row in zip(prediction, instances, labelled, of_them_good, strict=True)]
        both = estimates(levels, is_random=not replace)
        held, width = zip(*(_held(one, truth) for one in (both.people, both.powered)), strict=True)
        found[number] = *held, *width, both.weight
    return Covered(*(float(value) for value in found.mean(axis=0)))


def _held(one: Estimate, truth: float) -> tuple[bool, float]:
    assert one.low is not None
    assert one.high is not None
    return one.low <= truth <= one.high, one.high - one.low


# --- real grades ------------------------------------------------------------------------------------------


def read(path: Path) -> list[dict[str, Any]]:
    """The lines, each with its mean `grade`. Raises SystemExit, naming the line."""
    rows: list[dict[str, Any]] = []
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            for line in lines:
                rows.append(_graded(json.loads(line)))
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError):
        sys.exit(
            f'{path}: line {len(rows) + 1} is not like {{"human_grades": {{"ada": 3}}, "judge_score": 4}}'
        )
    except (OSError, EOFError) as error:
        sys.exit(f"{path}: {error}")
    if len(rows) <= LABELS:
        sys.exit(f"{path}: {len(rows)} lines are not more than the {LABELS} labels to draw")
    return rows


def _graded(row: dict[str, Any]) -> dict[str, Any]:
    grades = [float(grade) for grade in row["human_grades"].values()]
    scores = {name: row[name] and float(row[name]) for name in row if name.endswith("_score")}
    return row | scores | {"grade": sum(grades) / len(grades)}


def judges(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Floats]]:
    """What each judge of the file predicts, between 0 and 1, by name."""
    unreadable = PREDICTION[Verdict.INVALID]
    for name in sorted({key for row in rows for key in row if key.endswith("_score")}):
        scores = [row.get(name) for row in rows]
        yield (
            f"{name.removesuffix('_score')}: score",
            np.array([unreadable if score is None else score / BEST_GRADE for score in scores]),
        )
        verdicts = [unreadable if score is None else float(score >= GOOD_GRADE) for score in scores]
        yield f"{name.removesuffix('_score')}: verdict", np.array(verdicts)
    if all("codebertscore" in row for row in rows):
        values = np.array([row["codebertscore"]["F1"] for row in rows])
        yield "codebertscore: place", np.searchsorted(np.sort(values), values) / len(values)


def on_grades(path: Path, times: int) -> dict[str, Any]:
    rows = read(path)
    good = np.array([row["grade"] >= GOOD_GRADE for row in rows])
    _head()
    found: dict[str, Covered] = {}
    for name, predicted in judges(rows):
        found[name] = cover(good, predicted, LABELS, times, replace=True)
        _line(name, found[name])
    if not found:
        sys.exit(f"{path}: no line names a judge's score, such as judge_score")
    return {"rows": len(rows), "share": round(float(good.mean()), 4), **_summary(found, times)}


# --- generated instances ----------------------------------------------------------------------------------


def generated(share: float, passed: float, failed: float) -> tuple[Bools, Floats]:
    """Instances of which `share` is good; a judge passes so many of these and fails so many of the others."""
    random = np.random.default_rng(SEED)
    good = np.arange(GENERATED) < round(share * GENERATED)
    is_right = random.random(GENERATED) < np.where(good, passed, failed)
    is_readable = random.random(GENERATED) >= UNREADABLE
    return good, np.where(is_readable, np.where(is_right, good, ~good), PREDICTION[Verdict.INVALID])


def on_generated(times: int) -> dict[str, Any]:
    _head()
    found: dict[str, Covered] = {}
    for judge, (passed, failed) in JUDGES.items():
        for share in SHARES:
            good, predicted = generated(share, passed, failed)
            for labels in FEW_LABELS:
                for replace in (True, False):
                    name = f"{judge}, {share:.0%}, {labels} {'again' if replace else 'once'}"
                    found[name] = cover(good, predicted, labels, times, replace=replace)
                    _line(name, found[name])
    return {"rows": GENERATED, **_summary(found, times)}


# --- what is printed --------------------------------------------------------------------------------------


def _head() -> None:
    print(f"{'coverage and width of':>40}  {'people only':>16}  {'with predictions':>16}  narrower  weight")


def _line(name: str, one: Covered) -> None:
    people = f"{one.people:.3f}  {one.people_width:.4f}"
    powered = f"{one.powered:.3f}  {one.powered_width:.4f}"
    print(f"{name:>40}  {people:>16}  {powered:>16}  {one.narrower:8.1%}  {one.weight:6.2f}", flush=True)


def _summary(found: dict[str, Covered], times: int) -> dict[str, Any]:
    low, high = WITHIN
    covers = {way: [getattr(one, way) for one in found.values()] for way in ("people", "powered")}
    return {
        "labels": LABELS,
        "resamplings": times,
        **{f"coverage_{way}": [round(min(some), 4), round(max(some), 4)] for way, some in covers.items()},
        "within": all(low <= one <= high for some in covers.values() for one in some),
        "judges": {name: one.shown() for name, one in found.items()},
    }


def run(full: bool, data: Path | None = None) -> dict[str, Any]:
    times = 20_000 if full else 1_000
    return on_generated(times) if data is None else on_grades(data, times)


def main() -> None:
    benchmarks.main_on_file(run)


if __name__ == "__main__":
    main()

"""How well a judge's scores agree with people's grades and say how likely an answer is good.

    python -m benchmarks.calibration [--data FILE]

With `--data`, on real grades: JSON lines, perhaps gzipped, with `human_grades` {grader: 0 to 4} and one `*_score` or
more (0 to 4 or null). Good is a mean grade of at least 3, a verdict is a score of at least 3. Printed for each judge:
confusion, sensitivity and specificity with exact intervals, Cohen's kappa, and the expected calibration error of
score / 4; and Krippendorff's alpha of good or not among the people. Without a file, on tables it generates.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import benchmarks
from app.dashboard.agreement import nominal_alpha
from app.dashboard.calibration import Decided, calibration_error, confusion, reliability
from app.pipeline import Verdict
from benchmarks.estimates import BEST_GRADE, GOOD_GRADE, read

GENERATED = 2_000
SEED = 1


def run(full: bool, data: Path | None = None) -> dict[str, Any]:
    rows = _generated() if data is None else read(data)
    good = [row["grade"] >= GOOD_GRADE for row in rows]
    judges = {
        name.removesuffix("_score"): _judge([row.get(name) for row in rows], good)
        for name in sorted({key for row in rows for key in row if key.endswith("_score")})
    }
    return {
        "rows": len(rows),
        "grades": sum(len(row["human_grades"]) for row in rows),
        "share_good": round(sum(good) / len(good), 4),
        "people_alpha": _alpha(rows),
        "judges": judges,
    }


def _judge(scores: list[float | None], good: list[bool]) -> dict[str, Any]:
    verdicts = [
        Verdict.INVALID if score is None else Verdict.PASS if score >= GOOD_GRADE else Verdict.FAIL
        for score in scores
    ]
    table = confusion(Decided(verdict, one, 1) for verdict, one in zip(verdicts, good, strict=True))
    scored = [(score / BEST_GRADE, one) for score, one in zip(scores, good, strict=True) if score is not None]
    shares, is_good = (np.array(column) for column in zip(*scored, strict=True))
    bins = reliability(shares, is_good)
    for one in bins:
        print(f"  score {one.score:.2f}: {one.good:.2f} good of {one.units}")
    found = table._asdict() | {"kappa": table.kappa, "calibration_error": calibration_error(bins)}
    for name, share in (("sensitivity", table.sensitivity), ("specificity", table.specificity)):
        found |= {name: share.value, f"{name}_95": [round(edge, 3) for edge in share.interval]}
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}


def _alpha(rows: list[dict[str, Any]]) -> float:
    """Krippendorff's, nominal, over good or not of each single grade, where an answer has two or more."""
    votes = Counter(
        (sum(grade >= GOOD_GRADE for grade in grades), len(grades))
        for row in rows
        if len(grades := list(row["human_grades"].values())) > 1
    )
    answers = np.array([[good, graders - good] for good, graders in votes], np.int64)
    return round(float(nominal_alpha(answers, np.array(list(votes.values()), np.int64))), 4)


def _generated() -> list[dict[str, Any]]:
    """Answers that three people grade around their true worth, and a judge that is fair and one that guesses."""
    draw = np.random.default_rng(SEED)
    worth = draw.integers(0, BEST_GRADE + 1, GENERATED)
    noise = draw.integers(-1, 2, (GENERATED, 4))
    grades = np.clip(worth[:, None] + noise, 0, BEST_GRADE)
    return [
        {
            "human_grades": {f"person {number}": float(grade) for number, grade in enumerate(row[:3])},
            "grade": float(row[:3].mean()),
            "fair_score": float(row[3]),
            "guessing_score": float(guess),
        }
        for row, guess in zip(grades, draw.integers(0, BEST_GRADE + 1, GENERATED), strict=True)
    ]


def main() -> None:
    benchmarks.main_on_file(run)


if __name__ == "__main__":
    main()

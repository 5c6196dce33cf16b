"""How far the judge can be trusted: its verdicts against what people decided. Pure.

An instance is good when people accepted it as it was, and defective when they edited or rejected it. What the judge is
for is finding the defective ones, so `fail` is its positive answer. Invalid verdicts answer nothing and stand apart.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binomtest, fisher_exact

from app.pipeline import Verdict

FEWEST = 20
"""Below so many instances of one kind a share says little: its exact interval is 0.2 wide at best."""
HELPS_BELOW = 0.05
"""A rule helps where people find fault so much more often after its "no" that chance alone does so this seldom."""


class Share(NamedTuple):
    """`hits` of `units`, with the exact 95 % interval; nothing is known of none."""

    hits: int
    units: int

    @property
    def value(self) -> float | None:
        return self.hits / self.units if self.units else None

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson 1934: it holds the true share at least 95 times of a hundred, whatever the share is."""
        misses = self.units - self.hits
        low = float(beta.ppf(0.025, self.hits, misses + 1)) if self.hits else 0.0
        high = float(beta.ppf(0.975, self.hits + 1, misses)) if misses else 1.0
        return low, high


class Confusion(NamedTuple):
    """Instances by what the judge and what people said."""

    failed_defective: int = 0
    failed_good: int = 0
    passed_defective: int = 0
    passed_good: int = 0
    invalid: int = 0  # decided by people without an answer of the judge; in none of the others

    @property
    def units(self) -> int:
        return self.failed_defective + self.failed_good + self.passed_defective + self.passed_good

    @property
    def sensitivity(self) -> Share:
        """Of the defective ones, those that the judge failed."""
        return Share(self.failed_defective, self.failed_defective + self.passed_defective)

    @property
    def specificity(self) -> Share:
        """Of the good ones, those that the judge passed."""
        return Share(self.passed_good, self.passed_good + self.failed_good)

    @property
    def agreement(self) -> Share:
        return Share(self.failed_defective + self.passed_good, self.units)

    @property
    def kappa(self) -> float | None:
        """Agreement beyond chance (Cohen 1960); None where one of them always said the same."""
        n = self.units
        if not n:
            return None
        failed, defective = (
            self.failed_defective + self.failed_good,
            self.failed_defective + self.passed_defective,
        )
        expected = (failed * defective + (n - failed) * (n - defective)) / n**2
        observed = (self.failed_defective + self.passed_good) / n
        return (observed - expected) / (1 - expected) if expected < 1 else None


class Decided(NamedTuple):
    """So many instances with this verdict, of which people made this."""

    verdict: str
    is_good: bool
    units: int


def confusion(decided: Iterable[Decided]) -> Confusion:
    field = {
        (Verdict.FAIL, False): "failed_defective",
        (Verdict.FAIL, True): "failed_good",
        (Verdict.PASS, False): "passed_defective",
        (Verdict.PASS, True): "passed_good",
    }
    counted = dict.fromkeys(Confusion._fields, 0)
    for one in decided:
        counted[field.get((Verdict(one.verdict), one.is_good), "invalid")] += one.units
    return Confusion(**counted)


# --- rules ------------------------------------------------------------------------------------------------


class Use(StrEnum):
    """What a rule is good for, as far as people's decisions show."""

    HELPS = "helps"
    NOT_SHOWN = "not shown to help"
    NEVER_NO = "never says no"
    TOO_FEW = "too few decisions"


class RuleCounts(NamedTuple):
    """A rule's answers beside people's decisions, and how often people said the opposite of it outright."""

    rule: str
    no_defective: int = 0
    no_good: int = 0
    yes_defective: int = 0
    yes_good: int = 0
    not_checked: int = 0
    no_overruled: int = 0  # people say that it holds
    yes_overruled: int = 0  # people say that it fails

    @property
    def answered(self) -> int:
        return self.no_defective + self.no_good + self.yes_defective + self.yes_good

    @property
    def sensitivity(self) -> Share:
        """Of the defective instances, those for which it said no."""
        return Share(self.no_defective, self.no_defective + self.yes_defective)

    @property
    def specificity(self) -> Share:
        """Of the good instances, those for which it said yes."""
        return Share(self.yes_good, self.yes_good + self.no_good)

    @property
    def chance(self) -> float:
        """How often chance alone would put as many defective instances under its "no" (Fisher 1922, one-sided)."""
        table = [[self.no_defective, self.no_good], [self.yes_defective, self.yes_good]]
        return float(fisher_exact(table, alternative="greater").pvalue)  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def use(self) -> Use:
        if self.answered < FEWEST:
            return Use.TOO_FEW
        if not self.no_defective + self.no_good:
            return Use.NEVER_NO
        return Use.HELPS if self.chance <= HELPS_BELOW else Use.NOT_SHOWN


# --- two judges on the same instances -----------------------------------------------------------------------


class Paired(NamedTuple):
    """Two judges of the same instances, by which of them agreed with people."""

    both_right: int
    only_old_right: int
    only_new_right: int
    neither: int

    @property
    def units(self) -> int:
        return sum(self)

    @property
    def mcnemar(self) -> float | None:
        """How often two equally good judges differ at least this unevenly: McNemar's test, exact (1947).

        None where they are never right apart.
        """
        apart = self.only_old_right + self.only_new_right
        return float(binomtest(self.only_new_right, apart).pvalue) if apart else None


def paired(old: Sequence[str], new: Sequence[str], is_good: Sequence[bool]) -> Paired:
    """Verdicts (n,) of both and people's word (n,). An invalid verdict is never right."""
    counted = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
    for before, after, good in zip(old, new, is_good, strict=True):
        right = Verdict.PASS if good else Verdict.FAIL
        counted[before == right, after == right] += 1
    return Paired(counted[True, True], counted[True, False], counted[False, True], counted[False, False])


# --- scores -------------------------------------------------------------------------------------------------


class Bin(NamedTuple):
    """Answers whose score lies here: the mean score beside the share that people found good."""

    units: int
    score: float
    good: float


def reliability(scores: NDArray[np.float64], is_good: NDArray[np.bool_], bins: int = 10) -> list[Bin]:
    """`scores` (n,) from 0 to 1 in bins of equal width, those that hold any; a score of 1 is in the last."""
    place = np.minimum((scores * bins).astype(int), bins - 1)
    return [
        Bin(int(inside.sum()), float(scores[inside].mean()), float(is_good[inside].mean()))
        for inside in (place == number for number in range(bins))
        if inside.any()
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: the mean distance of score and share, by units (Naeini et al. 2015)."""
    units = sum(one.units for one in bins)
    return sum(one.units * abs(one.score - one.good) for one in bins) / units

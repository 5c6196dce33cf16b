"""What share of some instances is good, estimated from those that people labelled, without and with the verdicts. Pure.

The second estimate is the prediction-powered one (PPI++: Angelopoulos, Duchi and Zrnic 2023, arXiv 2311.01453): the
mean prediction of all instances, corrected by how far predictions are off where people labelled. A weight between 0
and 1 says how much of it is believed; a judge that is no help or works against gets 0, and people's labels stand alone.
"""

from collections.abc import Sequence
from enum import StrEnum
from math import inf
from typing import NamedTuple

import numpy as np

from app.dashboard.agreement import FEWEST_UNITS, Estimate, wilson
from app.pipeline import Verdict

PREDICTION: dict[str | None, float] = {Verdict.PASS: 1.0, Verdict.FAIL: 0.0, Verdict.INVALID: 0.5, None: 0.5}
"""Of a verdict that an instance is good. One that could not be read says neither, and so does none at all."""

DOUBTING_LABELS = 8
"""Pretended beside the real ones, with predictions that say nothing about them, as Agresti and Coull (1998) add four to
a share: a judge that was right about all of few labels would else leave no error to be expected. With eight the interval
keeps its word about as well as that of people alone: of 539 simulated shares and judges, the worst "95 %" interval held
the truth in 91, 89 and 93 of 100 at 20, 50 and 300 labels (people alone 92, 90, 93; without the eight 50, 78, 92)."""


class Design(StrEnum):
    """How the instances that people labelled came to be read."""

    QUEUE = "queue"
    AUDIT = "audit"
    BULK = "bulk"  # not read at all: such decisions are counted and never estimate anything

    @property
    def is_random(self) -> bool:
        """Whether they were drawn at random, without replacement, from the instances that are estimated."""
        return self is Design.AUDIT


DRAWN = {
    Design.QUEUE: "Read because they were next in the queue, not drawn at random: this describes what was read.",
    Design.AUDIT: "Drawn at random for the newest audit: this holds for the lot that they were drawn from, as far as the filter goes. The interval is that of a number of draws fixed beforehand, while an audit stops when it has enough: it describes, and claims nothing.",
    Design.BULK: "Decided in bulk and read by nobody: left out.",
}


class Level(NamedTuple):
    """The instances for which one thing is predicted."""

    prediction: float  # 0 to 1: that such an instance is good
    instances: int
    labels: int  # of these instances people labelled so many
    good: int  # of the labels


class Estimates(NamedTuple):
    """Of one share, side by side. There is no weight where there is no figure."""

    people: Estimate
    powered: Estimate
    weight: float | None = None  # of the predictions: 0 to 1

    @property
    def narrower(self) -> float | None:
        """By what part of its width the predictions narrow the interval; below 0 where they widen it."""
        widths = [one.high - one.low for one in self[:2] if one.high is not None and one.low is not None]
        return 1 - widths[1] / widths[0] if widths and widths[0] else None


def estimates(levels: Sequence[Level], *, is_random: bool) -> Estimates:
    """The share of good ones among all instances of `levels`, each estimate with a 95 % interval.

    People only: the share y of the n labels. Prediction-powered: y + weight * (F - f), with F and f the mean
    predictions of all N instances and of the labelled ones. The weight is the slope of labels on predictions, which
    leaves the least variance; `lambda` of the paper, which sets labelled against unlabelled, is (1 - n/N) times it.

    All predictions are known, so they add no error of their own: what is left is that of labels minus weighted
    predictions, as in the difference estimator of surveys (Cochran 1977, chapter 7). Their variance over the labels'
    own says how many labels it would have taken without predictions, and both intervals are Wilson's for that many:
    unlike the estimate plus and minus its error, they keep their word at shares near 0 and 1.

    Args:
        levels: counts by prediction, at least one instance in all.
        is_random: the labels are of a random sample without replacement, which tells the more the less is left
            (Cochran's correction, n (N - 1) / (N - n) labels instead of n). Otherwise they count as n at most,
            unless nothing is left.
    """
    prediction, instances, labels, good = np.array(levels, np.float64).reshape(-1, len(Level._fields)).T
    n = int(labels.sum())
    if n < FEWEST_UNITS:
        return Estimates(Estimate(n), Estimate(n))
    size = _worth(n, int(instances.sum()), is_random=is_random)
    share = float(good.sum()) / n
    variance = share * (1 - share)
    predicted = float(labels @ prediction) / n
    spread = float(labels @ (prediction - predicted) ** 2) / n
    together = float(good @ (prediction - predicted)) / (n + DOUBTING_LABELS)
    weight = min(1.0, max(0.0, together / spread)) if spread and variance else 0.0
    left = 1 - weight * (2 * together - weight * spread) / variance if weight else 1.0
    everywhere = float(instances @ prediction / instances.sum())
    powered = min(1.0, max(0.0, share + weight * (everywhere - predicted)))
    return Estimates(
        Estimate(n, share, *wilson(share, size)), Estimate(n, powered, *wilson(powered, size / left)), weight
    )


def _worth(labels: int, instances: int, *, is_random: bool) -> float:
    """How many labels of an endless stock tell as much as these; infinitely many where every instance has one."""
    if labels == instances:
        return inf
    return labels * (instances - 1) / (instances - labels) if is_random else labels

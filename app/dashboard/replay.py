"""What other rules would have said of instances that people have decided: from stored answers, without a call. Pure."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from app.dashboard.calibration import Confusion, Decided, Paired, confusion, paired
from app.errors import InvalidInput
from app.pipeline import Verdict

MOST_REPLAYED = 100_000
MOST_FLIPS = 200


class Weight(StrEnum):
    """How much a rule counts."""

    REQUIRED = "required"
    ADVISORY = "advisory"
    RETIRED = "retired"


class Answers(Protocol):
    @property
    def verdict(self) -> str: ...
    @property
    def is_good(self) -> bool: ...
    @property
    def answers(self) -> Sequence[tuple[str, bool, str]]: ...


class Replay(NamedTuple):
    """The rules in force then and those that are tried, on the same instances. `flips`: places of those that differ."""

    before: Confusion
    after: Confusion
    paired: Paired
    verdicts: Sequence[str]  # (n,) the new ones
    flips: Sequence[int]


def replay(stored: Sequence[Answers], weights: Mapping[str, Weight]) -> Replay:
    """Compute every verdict anew; a rule that is not named keeps the weight that it had."""
    old, good = [one.verdict for one in stored], [one.is_good for one in stored]
    return beside(old, [verdict_under(one.answers, weights) for one in stored], good)


def beside(old: Sequence[str], verdicts: Sequence[str], good: Sequence[bool]) -> Replay:
    """Two judges' verdicts on the same instances, each (n,), and whether people found them good."""
    return Replay(
        confusion(Decided(verdict, is_good, 1) for verdict, is_good in zip(old, good, strict=True)),
        confusion(Decided(verdict, is_good, 1) for verdict, is_good in zip(verdicts, good, strict=True)),
        paired(old, verdicts, good),
        verdicts,
        [place for place, (before, after) in enumerate(zip(old, verdicts, strict=True)) if before != after],
    )


def verdict_under(answers: Sequence[tuple[str, bool, str]], weights: Mapping[str, Weight]) -> Verdict:
    """`fail` where a required rule is answered no; `answers` are (rule, was required, answer)."""
    broken = (
        rule
        for rule, was_required, answer in answers
        if answer == "no" and _counts(rule, was_required, weights)
    )
    return Verdict.FAIL if next(broken, None) is not None else Verdict.PASS


def _counts(rule: str, was_required: bool, weights: Mapping[str, Weight]) -> bool:
    return weights[rule] is Weight.REQUIRED if rule in weights else was_required


def checked_weights(asked: Mapping[str, str], known: Sequence[str]) -> dict[str, Weight]:
    """Raises InvalidInput, naming a rule that no stored answer is about, or a weight that is none."""
    for rule, weight in asked.items():
        if rule not in known:
            raise InvalidInput(
                f"{rule[:60]!r} is none of the rules with answers: {', '.join(known)}", "rules"
            )
        if weight not in tuple(Weight):
            raise InvalidInput(f"{rule} can be {', '.join(Weight)}, not {weight[:40]!r}", "rules")
    return {rule: Weight(weight) for rule, weight in asked.items()}

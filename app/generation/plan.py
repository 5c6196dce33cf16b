"""Which instances a run makes: how many of each task, and from which picks. Pure."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, TypeVar

from app.errors import InvalidInput
from app.generation.tasks import BUG_KINDS
from app.pipeline import LANGUAGES, Granularity, Priority, Task

Name = TypeVar("Name", bound=str)


@dataclass(frozen=True)
class Wanted:
    """What a run should make.

    Either `count` instances, or as many as it takes until `until_pass` of each task and language pass, with
    `at_most` attempts each. Without `selection_id` it draws from the newest completed selection; without models
    from the configured ones; without a budget (USD) there is no cap.
    """

    tasks: Mapping[str, float]  # the share of each; of a run with a goal only which
    count: int | None = None  # instances over all tasks
    until_pass: int | None = None
    at_most: int | None = None
    selection_id: int | None = None
    generator: str | None = None
    discriminator: str | None = None
    budget_usd: float | None = None
    priority: str = Priority.NORMAL
    seed: int = 0
    candidates: int = 1  # of each pick and task, before the next pick
    send_back: bool = False  # once, what a verdict or a check of the text speaks against
    granularities: Mapping[str, float] = field(
        default_factory=dict
    )  # of summaries, by share; none: all evenly
    targets: Mapping[str, float] = field(default_factory=dict)  # of translations, by share; none: all evenly


class Mix(NamedTuple):
    """What is drawn for the instances of a task, each by share."""

    granularities: Mapping[str, float] = dict.fromkeys(Granularity, 1.0)  # of summaries
    targets: Mapping[str, float] = dict.fromkeys(LANGUAGES, 1.0)  # of translations, but to the own language
    candidates: int = 1  # of each pick and task, before the next pick
    with_bugs: bool = True  # whether a kind of bug is named for each repair


class Goal(NamedTuple):
    """When a run has enough, for each task and language."""

    passes: int
    at_most: int  # attempts


class Material(NamedTuple):
    """A pick that instances can be made from."""

    pick_id: int
    snippet_id: int
    language: str


class Planned(NamedTuple):
    """One instance to be made."""

    pick_id: int
    snippet_id: int
    language: str
    task: Task
    candidate: int  # the how-manieth of this pick and task, from 0
    target_language: str | None
    bug: str | None
    granularity: str | None = None


def shares_to_counts(shares: Mapping[Name, float], count: int) -> dict[Name, int]:
    """`count` divided in proportion to `shares` by largest remainders; ties go to the earlier name.

    The counts are whole and sum to `count` exactly. Shares are finite, not negative and not all zero.
    """
    total = sum(Fraction(share) for share in shares.values())
    exact = {task: Fraction(share) * count / total for task, share in shares.items()}
    counts = {task: int(amount) for task, amount in exact.items()}
    rest = count - sum(counts.values())
    by_remainder = sorted(exact, key=lambda task: counts[task] - exact[task])
    for task in by_remainder[:rest]:
        counts[task] += 1
    return counts


def plan_instances(
    picks: Sequence[Material], counts: Mapping[Task, int], seed: int, mix: Mix = Mix()
) -> list[Planned]:
    """The instances to make from `picks` (in rank order), tasks mixed evenly from the first to the last.

    A task goes on where the one before stopped, so that the tasks share the picks out before any pick is used
    again; a task that comes round to a pick again asks for further candidates of it. Granularities and targets keep
    their shares exactly and differ among the candidates of a pick as far as they can.

    Raises InvalidInput where the only targets are the language that a pick is in.
    """
    draw = random.Random(seed)
    bugs = draw.sample(BUG_KINDS, len(BUG_KINDS))
    placed: list[tuple[float, Planned]] = []
    offset = 0
    for task, amount in counts.items():
        places = [(number // mix.candidates, number % mix.candidates) for number in range(amount)]
        planned = [
            Planned(
                *picks[(offset + place) % len(picks)],
                task=task,
                candidate=place // len(picks) * mix.candidates + nth,
                target_language=None,
                bug=bugs[number % len(bugs)] if task is Task.REPAIR and mix.with_bugs else None,
            )
            for number, (place, nth) in enumerate(places)
        ]
        if task is Task.SUMMARIZATION:
            planned = _with_granularities(planned, mix.granularities, draw)
        if task is Task.TRANSLATION:
            planned = _with_targets(planned, mix.targets, draw)
        placed += [((number + 0.5) / amount, one) for number, one in enumerate(planned)]
        offset += -(-amount // mix.candidates)
    placed.sort(key=lambda place: place[0])
    return [one for _, one in placed]


def _with_granularities(
    planned: Sequence[Planned], shares: Mapping[str, float], draw: random.Random
) -> list[Planned]:
    drawn = _drawn(planned, shares, draw)
    return [one._replace(granularity=drawn[number]) for number, one in enumerate(planned)]


def _with_targets(
    planned: Sequence[Planned], shares: Mapping[str, float], draw: random.Random
) -> list[Planned]:
    """The share of a language that the code is in already goes to the others."""
    found = list(planned)
    for language in dict.fromkeys(one.language for one in planned):
        others = {name: share for name, share in shares.items() if name != language and share}
        if not others:
            raise InvalidInput(
                f"code in {language} cannot be translated to {language}: name another target", "targets"
            )
        numbers = [number for number, one in enumerate(planned) if one.language == language]
        drawn = _drawn([planned[number] for number in numbers], others, draw)
        for place, number in enumerate(numbers):
            found[number] = found[number]._replace(target_language=drawn[place])
    return found


def _drawn(planned: Sequence[Planned], shares: Mapping[str, float], draw: random.Random) -> dict[int, str]:
    """A name for each place in `planned`, exactly by share; candidates of one pick come one after the other."""
    names = {name: shares[name] for name in draw.sample(sorted(shares), len(shares)) if shares[name]}
    counts = shares_to_counts(names, len(planned))
    evenly = sorted(((turn + 0.5) / count, name) for name, count in counts.items() for turn in range(count))
    places = sorted(range(len(planned)), key=lambda place: (planned[place].pick_id, planned[place].candidate))
    return {place: name for place, (_, name) in zip(places, evenly, strict=True)}


def plan_attempts(
    picks: Sequence[Material], tasks: Sequence[Task], at_most: int, seed: int, mix: Mix = Mix()
) -> list[Planned]:
    """`at_most` attempts of each task in each language of `picks`, in the order in which they are made."""
    planned: list[Planned] = []
    for language in dict.fromkeys(pick.language for pick in picks):
        of_language = [pick for pick in picks if pick.language == language]
        counts = dict.fromkeys(tasks, at_most)
        planned += plan_instances(of_language, counts, seed, mix)
    return planned


def lane_of(planned: Planned) -> str:
    """The name of the task and language whose goal an attempt serves."""
    return f"{planned.task}/{planned.language}"

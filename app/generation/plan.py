"""Which instances a run makes: how many of each task, and from which picks. Pure."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from app.generation.tasks import BUG_KINDS, target_languages
from app.pipeline import LANGUAGES, Priority, Task


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


def shares_to_counts(shares: Mapping[Task, float], count: int) -> dict[Task, int]:
    """`count` divided in proportion to `shares` by largest remainders; ties go to the earlier task.

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
    picks: Sequence[Material], counts: Mapping[Task, int], seed: int, *, with_bugs: bool
) -> list[Planned]:
    """The instances to make from `picks` (in rank order), tasks mixed evenly from the first to the last.

    A task goes on where the one before stopped, so that the tasks share the picks out before any pick is used
    again; a task that comes round to a pick again asks for a further candidate of it. Targets of translation
    spread over the other five languages; `with_bugs` names a kind of bug for each repair.
    """
    draw = random.Random(seed)
    targets = {language: draw.sample(target_languages(language), 5) for language in LANGUAGES}
    bugs = draw.sample(BUG_KINDS, len(BUG_KINDS))
    placed: list[tuple[float, Planned]] = []
    offset = 0
    for task, amount in counts.items():
        for number in range(amount):
            pick = picks[(offset + number) % len(picks)]
            candidate = number // len(picks)
            target = targets[pick.language][(number + candidate) % 5]
            planned = Planned(
                *pick,
                task=task,
                candidate=candidate,
                target_language=target if task is Task.TRANSLATION else None,
                bug=bugs[number % len(bugs)] if task is Task.REPAIR and with_bugs else None,
            )
            placed.append(((number + 0.5) / amount, planned))
        offset += amount
    placed.sort(key=lambda place: place[0])
    return [planned for _, planned in placed]


def plan_attempts(
    picks: Sequence[Material], tasks: Sequence[Task], at_most: int, seed: int, *, with_bugs: bool
) -> list[Planned]:
    """`at_most` attempts of each task in each language of `picks`, in the order in which they are made."""
    planned: list[Planned] = []
    for language in dict.fromkeys(pick.language for pick in picks):
        of_language = [pick for pick in picks if pick.language == language]
        counts = dict.fromkeys(tasks, at_most)
        planned += plan_instances(of_language, counts, seed, with_bugs=with_bugs)
    return planned


def lane_of(planned: Planned) -> str:
    """The name of the task and language whose goal an attempt serves."""
    return f"{planned.task}/{planned.language}"

"""Exact numbers of each task, and which picks they are made from."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.generation.plan import Material, Planned, plan_instances, shares_to_counts
from app.pipeline import Task

PICKS = [Material(number, 100 + number, ("python", "go")[number % 2]) for number in range(10)]


def plan(counts: dict[Task, int], seed: int = 0) -> list[Planned]:
    return plan_instances(PICKS, counts, seed, with_bugs=True)


@given(
    st.dictionaries(st.sampled_from(Task), st.floats(0.001, 1000), min_size=1),
    st.integers(1, 100_000),
)
def test_counts_sum_to_what_was_asked_and_are_within_one_of_their_share(
    shares: dict[Task, float], count: int
) -> None:
    counts = shares_to_counts(shares, count)

    assert sum(counts.values()) == count
    assert all(
        abs(counts[task] - share * count / sum(shares.values())) < 1.000001 for task, share in shares.items()
    )


def test_the_papers_mix_gives_the_papers_numbers() -> None:
    shares = {
        Task.GENERATION: 11_370.0,
        Task.SUMMARIZATION: 3_165.0,
        Task.REPAIR: 3_144.0,
        Task.TRANSLATION: 2_236.0,
    }

    assert shares_to_counts(shares, 19_915) == shares


def test_no_instance_is_planned_twice_and_picks_are_used_evenly() -> None:
    planned = plan({Task.SUMMARIZATION: 13, Task.GENERATION: 24, Task.REPAIR: 3})

    assert len({(one.pick_id, one.task, one.candidate) for one in planned}) == 40
    assert set(Counter(one.pick_id for one in planned).values()) == {4}


def test_tasks_share_the_picks_out_before_any_is_used_again() -> None:
    planned = plan({Task.SUMMARIZATION: 4, Task.GENERATION: 6})

    assert sorted(one.pick_id for one in planned) == list(range(10))


def test_tasks_are_mixed_from_the_first_instance_on() -> None:
    planned = plan({Task.SUMMARIZATION: 10, Task.GENERATION: 30})

    assert Counter(one.task for one in planned[:20]) == {Task.SUMMARIZATION: 5, Task.GENERATION: 15}


def test_targets_of_translation_spread_over_the_other_five_languages() -> None:
    planned = plan({Task.TRANSLATION: 100})
    of_python = Counter(one.target_language for one in planned if one.language == "python")

    assert "python" not in of_python
    assert len(of_python) == 5
    assert len({one.target_language for one in planned if one.pick_id == 0}) == 5


def test_a_seed_fixes_the_plan_and_another_changes_it() -> None:
    counts = {Task.TRANSLATION: 20, Task.REPAIR: 20}

    assert plan(counts, 7) == plan(counts, 7)
    assert plan(counts, 7) != plan(counts, 8)

"""Exact numbers of each task, and which picks they are made from."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.generation.plan import Material, Mix, Planned, plan_instances, shares_to_counts
from app.pipeline import LANGUAGES, Granularity, Task

PICKS = [Material(number, 100 + number, ("python", "go")[number % 2]) for number in range(10)]


def plan(counts: dict[Task, int], seed: int = 0, **mix: Any) -> list[Planned]:
    return plan_instances(PICKS, counts, seed, Mix(**mix))


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


@given(
    st.integers(1, 60),
    st.dictionaries(st.sampled_from(LANGUAGES), st.floats(0.01, 9), min_size=2),
    st.integers(0, 9),
)
def test_targets_keep_their_shares_and_never_are_the_languages_own(
    count: int, targets: dict[str, float], seed: int
) -> None:
    planned = plan({Task.TRANSLATION: count}, seed, targets=targets)

    for language in ("python", "go"):
        drawn = Counter(one.target_language for one in planned if one.language == language)
        others = {name: share for name, share in targets.items() if name != language}
        whole = sum(others.values())
        assert all(
            abs(drawn[name] - share * drawn.total() / whole) < 1.000001 for name, share in others.items()
        )
        assert drawn.keys() <= others.keys()


def test_the_only_target_cannot_be_the_language_of_the_code() -> None:
    with pytest.raises(InvalidInput, match="code in go cannot be translated to go") as refused:
        plan({Task.TRANSLATION: 4}, targets={"go": 1.0})
    assert refused.value.field == "targets"


def test_summaries_are_drawn_by_their_shares() -> None:
    planned = plan({Task.SUMMARIZATION: 12, Task.REPAIR: 4}, granularities={"line": 2.0, "steps": 1.0})

    assert Counter(one.granularity for one in planned) == {"line": 8, "steps": 4, None: 4}
    assert {one.granularity for one in plan({Task.SUMMARIZATION: 3})} == set(Granularity)


def test_candidates_of_a_pick_come_together_and_differ_where_they_can() -> None:
    planned = plan({Task.SUMMARIZATION: 12, Task.GENERATION: 7}, candidates=3)
    of_first = [one for one in planned if one.pick_id == 0]

    assert [one.candidate for one in of_first] == [0, 1, 2]
    assert {one.granularity for one in of_first} == set(Granularity)
    assert Counter(one.pick_id for one in planned if one.task is Task.GENERATION) == {4: 3, 5: 3, 6: 1}
    assert (
        len({(one.pick_id, one.task, one.candidate) for one in plan({Task.REPAIR: 47}, candidates=3)}) == 47
    )

"""What a prompt shows of the example bank."""

from collections import Counter

from app.pipeline import Task
from app.prompting.exemplars import Case, Drawn, Listed, case_in_words, draw_exemplars, draw_seed, exemplar_of
from app.prompting.prompt import Prompt
from app.prompting.repeating import again
from app.prompting.untrusted import restored

SNAPSHOT = [
    Listed(number, task, language, is_good)
    for number, (task, language, is_good) in enumerate(
        (task, language, is_good)
        for task in (Task.REPAIR, Task.GENERATION)
        for language in ("python", "go")
        for is_good in (True, False)
        for _ in range(5)
    )
]
CASE = Case("Repair this Python function.", "def f(): retrun 1", "def f(): return 1", False, "It says where.")


def test_one_good_and_one_bad_case_of_the_task_and_language_are_drawn() -> None:
    good, bad = (SNAPSHOT[drawn or 0] for drawn in draw_exemplars(SNAPSHOT, 3, Task.REPAIR, "go"))

    assert (good.task, good.language, good.is_good) == (Task.REPAIR, "go", True)
    assert (bad.task, bad.language, bad.is_good) == (Task.REPAIR, "go", False)


def test_a_seed_fixes_the_draw_whatever_the_order_and_other_seeds_draw_others() -> None:
    def draw(seed: int, snapshot: list[Listed]) -> Drawn:
        return draw_exemplars(snapshot, seed, Task.REPAIR, "python")

    assert all(draw(seed, SNAPSHOT) == draw(seed, SNAPSHOT[::-1]) for seed in range(20))
    assert len(Counter(draw(seed, SNAPSHOT).good for seed in range(50))) == 5


def test_a_language_without_cases_borrows_from_the_others_and_a_task_without_any_has_none() -> None:
    assert draw_exemplars(SNAPSHOT, 0, Task.REPAIR, "ruby").good is not None
    assert draw_exemplars(SNAPSHOT, 0, Task.TRANSLATION, "python") == Drawn(None, None)


def test_a_case_is_shown_whole_with_its_analysis() -> None:
    shown = restored(case_in_words(CASE))

    assert shown.startswith("A bad case:")
    assert all(text in shown for text in (CASE.instruction, CASE.information, CASE.solution, CASE.analysis))


def test_the_same_text_is_one_case_whatever_was_said_about_it() -> None:
    first = exemplar_of(Task.REPAIR, "python", CASE)
    second = exemplar_of(Task.REPAIR, "python", CASE._replace(is_good=True, analysis="Fine."))

    assert first["content_hash"] == second["content_hash"]
    assert first["content_hash"] != exemplar_of(Task.GENERATION, "python", CASE)["content_hash"]


def test_every_run_and_purpose_has_a_seed_of_its_own() -> None:
    seeds = {draw_seed(run_seed, what, n) for run_seed in (0, 1) for what in "ab" for n in range(3)}

    assert len(seeds) == 12
    assert draw_seed(1, "a", 2) == draw_seed(1, "a", 2)


def test_a_repeated_question_says_what_was_wrong() -> None:
    prompt = Prompt("system", "user", "name", {}, "0" * 64, 10)

    assert "solution is empty" in again(prompt, "solution is empty").user
    assert again(prompt, "x")._replace(user=prompt.user, repeats=None) == prompt

"""The rules of a project as one text: what may stand in it, what changes it, and the sets that runs freeze."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.discrimination import rulebook
from app.discrimination.mechanical import Found, machine_answers
from app.discrimination.opinion import Answer, merged, overall
from app.discrimination.prompts import Judged, ask
from app.discrimination.rubric import CheckedBy, Rule, by_a_model, rule_set, rules_hash, rules_of
from app.discrimination.rule_forms import RuleForm, form_of, rule_of
from app.discrimination.rulebook import (
    SHIPPED,
    Entry,
    book_of,
    book_text,
    moved,
    numbered,
    refuse_faults,
    rules_in,
    sets_of,
    with_retired,
    with_rule,
)
from app.errors import InvalidInput, NotFound
from app.pipeline import Finding, Task, Verdict

RULE = Rule("idiomatic", "The code is idiomatic.", (Task.GENERATION,), True, CheckedBy.MODEL, 1)
JUDGED = Judged(Task.GENERATION, "python", None, "Write a Python function.", "", "def one():\n    return 1")

NAMES = [rule.rule for rule in rules_of(Task.REPAIR)]


def names(book: rulebook.Rulebook, task: Task = Task.REPAIR) -> list[str]:
    return [rule.rule for rule in rules_in(book, task)]


def test_the_shipped_book_is_faultless_and_makes_the_shipped_sets() -> None:
    refuse_faults(SHIPPED)

    assert book_of(book_text(SHIPPED)) == SHIPPED
    assert [one.content_hash for one in sets_of(SHIPPED, "1")] == [rules_hash(task) for task in Task]
    assert rule_set(sets_of(SHIPPED, "1")[0].content).rules == rules_of(Task.SUMMARIZATION)


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from((-1, 1))), max_size=12))
def test_moving_rules_about_loses_none_and_touches_no_other_task(steps: list[tuple[str, int]]) -> None:
    book = SHIPPED
    for name, step in steps:
        book = moved(book, name, Task.REPAIR, step)

    assert sorted(names(book)) == sorted(NAMES)
    assert sorted(book) == sorted(SHIPPED)
    for name, step in reversed(steps):
        assert set(names(moved(book, name, Task.REPAIR, step))) == set(NAMES)


def test_one_step_changes_places_with_the_neighbour_in_the_same_task() -> None:
    up = moved(SHIPPED, NAMES[3], Task.REPAIR, -1)

    assert names(up) == [*NAMES[:2], NAMES[3], NAMES[2], *NAMES[4:]]
    assert moved(up, NAMES[3], Task.REPAIR, 1) == SHIPPED
    assert moved(SHIPPED, NAMES[0], Task.REPAIR, -1) == SHIPPED


def test_a_retired_rule_is_neither_asked_nor_counted_and_can_be_taken_back() -> None:
    retired = with_retired(SHIPPED, "real_bug", retired=True)

    assert "real_bug" not in names(retired)
    assert with_retired(retired, "real_bug", retired=False) == SHIPPED
    with pytest.raises(NotFound):
        with_retired(SHIPPED, "no_such_rule", retired=True)


def test_a_number_means_one_text() -> None:
    old = rulebook.entry_of(SHIPPED, "readable").rule
    other = numbered(old._replace(text="Anybody can follow it."), [SHIPPED])
    third = numbered(old._replace(text="A child can follow it."), [SHIPPED, with_rule(SHIPPED, other)])

    assert (other.version, third.version) == (2, 3)
    assert numbered(old._replace(version=0), [SHIPPED, with_rule(SHIPPED, other)]) == old
    assert numbered(RULE, [SHIPPED]).version == 1


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"rule": "Idiomatic"}, "rule", "small letters"),
        ({"rule": "overall"}, "rule", "no rule may be called overall"),
        ({"text": ""}, "text", "1 to 600 characters"),
        ({"text": "Be ⟪good⟫."}, "text", "U+27EA"),
        ({"text": "one\ntwo"}, "text", "U+000A"),
        ({"tasks": ()}, "tasks", "no task"),
        ({"language": "cobol"}, "language", "none of go, java"),
        ({"checked_by": CheckedBy.MACHINE}, "check", "there is no check “idiomatic”"),
        ({"checked_by": CheckedBy.BOTH, "check": "parsing"}, "check", "did you mean parses?"),
        ({"check": "parses"}, "check", "names no check"),
        ({"checked_by": CheckedBy.MACHINE, "check": "parses", "may_not_apply": True}, "may_not_apply", "only a model"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_refused_with_its_field(
    change: dict[str, object], field: str, words: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        refuse_faults(with_rule(SHIPPED, RULE._replace(**change)))  # pyright: ignore[reportArgumentType]

    assert refused.value.field == field
    assert words in str(refused.value)


def test_a_task_must_keep_a_required_rule_for_every_language() -> None:
    only = RULE._replace(tasks=tuple(Task), language="python")
    for book in ((Entry(only),), tuple(one._replace(retired=True) for one in SHIPPED)):
        with pytest.raises(InvalidInput, match="would have no required rule"):
            refuse_faults(book)
    with pytest.raises(InvalidInput, match="stands there twice"):
        refuse_faults((*SHIPPED, SHIPPED[0]))


def test_a_form_describes_the_rule_that_filled_it() -> None:
    for one in SHIPPED:
        assert rule_of(form_of(one.rule)) == one.rule._replace(version=0)
    with pytest.raises(InvalidInput, match="no task poetry"):
        rule_of(RuleForm(rule="x1", text="x", tasks=["poetry"]))


@pytest.mark.parametrize(
    ("check", "findings", "answer", "verdict"),
    [
        ("runs", {}, Answer.NOT_CHECKED, Verdict.PASS),
        ("runs", {"runs": Found(Finding.NOT_CHECKED, "this check is not run yet")}, Answer.NOT_CHECKED, Verdict.PASS),
        ("runs", {"runs": Found(Finding.FAIL, "it timed out")}, Answer.NO, Verdict.FAIL),
        ("short_instruction", {}, Answer.YES, Verdict.PASS),
    ],
)  # fmt: skip
def test_a_machines_rule_rests_on_the_check_that_it_names(
    check: str, findings: dict[str, Found], answer: Answer, verdict: Verdict
) -> None:
    rule = RULE._replace(checked_by=CheckedBy.MACHINE, check=check)
    [answered] = merged([rule], {}, machine_answers(JUDGED, findings))

    assert answered.answer is answer
    assert overall([answered]) is verdict


def test_rules_of_another_language_are_neither_in_the_question_nor_in_its_schema() -> None:
    book = with_rule(SHIPPED, RULE._replace(language="ruby"))
    rules = rule_set(sets_of(book, "2")[1].content)
    [python, ruby] = [
        ask(JUDGED._replace(language=language), None, None, rules=by_a_model(rules.of(language, None)))
        for language in ("python", "ruby")
    ]

    assert "idiomatic" in ruby.system and "idiomatic" in ruby.schema["required"]  # noqa: PT018
    assert "idiomatic" not in python.system and "idiomatic" not in python.schema["required"]  # noqa: PT018

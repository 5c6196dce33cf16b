import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.generation.tasks import BRIEFS
from app.ingestion.finished import (
    IMPORT_RULES,
    LONGEST_TEXT,
    Finished,
    Given,
    Instruction,
    finished,
    shape_of,
    storable,
)
from app.ingestion.rows import Refusal
from app.pipeline import OTHER, Task
from tests.ingestion.sets import alpaca_row, argilla_flat, argilla_one_record, argilla_record, codeocean_row


def outcome_of(
    row: dict[str, Any], shape: str, given: Given, allowed: list[str] | None
) -> Finished | Refusal:
    return finished(row, "set.jsonl", 3, shape, given, allowed)


def instruction_of(row: dict[str, Any], shape: str = "alpaca", given: Given = Given()) -> Instruction:
    outcome = outcome_of(row, shape, given, None)
    assert isinstance(outcome, Finished), outcome
    return outcome.instruction


def refusal_of(row: dict[str, Any], shape: str = "alpaca", allowed: list[str] | None = None) -> Refusal:
    outcome = outcome_of(row, shape, Given(), allowed)
    assert isinstance(outcome, Refusal)
    assert (outcome.file, outcome.line) == ("set.jsonl", 3)
    assert outcome.rule in IMPORT_RULES
    return outcome


def test_an_alpaca_row_is_a_generation_in_the_language_of_its_output():
    found = instruction_of(alpaca_row(2, input="an integer", topic="numbers", source="somewhere"))

    assert (found.task, found.language, found.task_name) == ("generation", "python", "code generation")
    assert (found.information, found.generator, found.license) == ("an integer", "imported", None)
    assert found.kept == {"topic": "numbers", "source": "somewhere"}


def test_an_alpaca_row_may_leave_its_input_out():
    row = alpaca_row()
    del row["input"]

    assert instruction_of(row).information == ""


def test_a_row_of_our_own_keeps_what_it_says_and_where_it_comes_from():
    found = instruction_of(codeocean_row(), "codeocean", Given(license="Apache-2.0", task=Task.GENERATION))

    assert (found.task, found.language, found.generator) == ("repair", "go", "a-model")
    assert (found.license, found.external_id) == ("MIT", "other-7")
    assert found.kept["source"]["repo"] == "owner/numbers"
    assert found.kept["decision"] == "accept"
    assert not {"id", "task", "language", "generator", "target_language"} & found.kept.keys()


def test_the_four_keys_alone_are_enough():
    row = {key: codeocean_row()[key] for key in ("task_name", "instruction", "information", "solution")}

    found = instruction_of(row, "codeocean", Given("MIT", Task.SUMMARIZATION, "ruby"))

    assert (found.task, found.language, found.license) == ("repair", "ruby", "MIT")
    assert found.kept == {}


@pytest.mark.parametrize("task", Task)
def test_the_names_of_our_tasks_are_understood_and_given(task: Task):
    row = codeocean_row(task=None, task_name=BRIEFS[task].task_name)

    assert instruction_of(row, "codeocean").task == task
    assert instruction_of(alpaca_row(task=task.value)).task_name == BRIEFS[task].task_name


def test_a_translation_has_the_languages_of_its_two_texts():
    row = alpaca_row(
        task="Code Translation", input="def f(x)\n  x.nil?\nend", output="def f(x):\n    return x is None"
    )

    found = instruction_of(row)

    assert (found.language, found.target_language) == ("ruby", "python")


@pytest.mark.parametrize(
    ("said", "language"),
    [("Golang", "go"), ("rust", OTHER), ("C++", OTHER), ("other", OTHER), ("en", "python")],
)
def test_the_language_that_a_row_names_is_its_own_unless_it_is_none_of_programming(said: str, language: str):
    found = instruction_of(alpaca_row(language=said))

    assert found.language == language
    assert found.kept == ({} if said == language else {"language": said})


def test_a_text_in_no_language_that_anybody_can_tell_is_other():
    assert instruction_of(alpaca_row(instruction="Name a colour.", output="Red.")).language == OTHER


@pytest.mark.parametrize(
    ("own", "license_"),
    [
        ({}, "MIT"),
        ({"license": "apache-2.0"}, "Apache-2.0"),
        ({"license": "free for all"}, None),
        ({"source": {"license": "GPL-3.0-only"}, "license": "MIT"}, "GPL-3.0-only"),
    ],
)
def test_a_row_has_its_own_licence_or_that_of_the_set_and_nothing_is_guessed(
    own: dict[str, Any], license_: str | None
):
    assert instruction_of(alpaca_row(**own), given=Given(license="MIT")).license == license_


@pytest.mark.parametrize(
    ("row", "shape", "rule", "why"),
    [
        (
            alpaca_row(output=None),
            "alpaca",
            "missing_field",
            "no key output; there are 'instruction', 'input'",
        ),
        (alpaca_row(output=["x"]), "alpaca", "wrong_type", "the field output holds a list, not text"),
        (alpaca_row(instruction=" \n"), "alpaca", "empty_text", "the instruction is empty"),
        (alpaca_row(output=""), "alpaca", "empty_text", "the solution is empty"),
        (alpaca_row(input="a\0b"), "alpaca", "nul_character", "character 2 of the field input"),
        (alpaca_row(input="a\ud800"), "alpaca", "bad_encoding", "half of a surrogate pair"),
        (alpaca_row(output="x" * (LONGEST_TEXT + 1)), "alpaca", "text_too_long", "the solution has 100,001"),
        (alpaca_row(generator="x" * 201), "alpaca", "text_too_long", "the generator has 201"),
        (alpaca_row(), "codeocean", "missing_field", "no key information"),
        (codeocean_row(task=None, task_name=None), "codeocean", "missing_field", "no key task_name"),
        (alpaca_row(), "argilla", "missing_field", "no key solution or output"),
    ],
)
def test_a_row_that_is_not_taken_says_why(row: dict[str, Any], shape: str, rule: str, why: str):
    if shape == "argilla":
        del row["output"]
    refused = refusal_of(row, shape)

    assert refused.rule == rule
    assert why in refused.why


def test_the_projects_list_of_licences_holds_for_imports_too():
    assert refusal_of(alpaca_row(), allowed=["MIT"]).rule == "licence_not_allowed"
    assert refusal_of(alpaca_row(license="GPL-3.0-only"), allowed=["MIT"]).why.startswith("GPL-3.0-only")
    assert isinstance(outcome_of(alpaca_row(license="mit"), "alpaca", Given(), ["MIT"]), Finished)


@pytest.mark.parametrize(
    ("record", "shape"),
    [
        (alpaca_row(), "alpaca"),
        (codeocean_row(), "codeocean"),
        (argilla_record(), "argilla"),
        (argilla_flat(), "argilla"),
        (argilla_one_record(), "argilla"),
        ({"text": "Add one."}, None),
        ({"instruction": "Add one."}, None),
    ],
)
def test_a_format_is_recognised_by_its_keys(record: dict[str, Any], shape: str | None):
    assert shape_of(record) == shape


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_whatever_a_row_brings_is_kept_in_a_form_that_a_database_takes(value: Any):
    kept = storable(value)

    text = json.dumps(kept, ensure_ascii=False, allow_nan=False)
    assert "\\u0000" not in text
    text.encode()
    assert storable(kept) == kept


def test_objects_within_objects_are_kept_to_a_depth_that_everything_can_walk():
    deep: Any = "end"
    for _ in range(900):
        deep = {"in": deep}

    assert "more levels than are kept" in json.dumps(storable(deep))

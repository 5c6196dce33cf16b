from typing import Any

import pytest

from app.ingestion.argilla import argilla
from app.ingestion.decoding import Refused
from tests.ingestion.sets import argilla_flat, argilla_one_record, argilla_record

INSTRUCTION = "Add one to a number in Ruby."
SOLUTION = "def inc(x)\n  x + 1\nend\n"
SUGGESTED = {"question": "quality", "value": 4, "score": 0.9, "agent": "a-judge"}
RATED = {"question": "quality", "value": 5, "user_id": "u1"}
EDITED = {"question": "corrected", "value": "def inc(x) = x + 1", "user_id": "u1"}


@pytest.mark.parametrize("record", [argilla_record(), argilla_flat(), argilla_one_record()])
def test_the_texts_of_every_shape_are_found_by_the_names_of_their_fields(record: dict[str, Any]):
    parts = argilla(record)

    assert (parts.instruction, parts.information, parts.solution) == (INSTRUCTION, "", SOLUTION)
    assert parts.external_id == "mine-3"


def test_what_was_said_in_argilla_2_is_kept_by_question():
    rest = argilla(argilla_record()).rest

    assert rest["suggestions"] == [SUGGESTED]
    assert rest["responses"] == [RATED, {**RATED, "value": 2, "user_id": "u2"}, EDITED]
    assert rest["metadata"] == {"model": "a-model", "topic": "numbers"}
    assert rest["status"] == "completed"


def test_what_was_said_in_argilla_1_has_the_same_form():
    rest = argilla(argilla_one_record()).rest

    assert rest["suggestions"] == [{**SUGGESTED, "type": "model"}]
    assert rest["responses"] == [{**one, "status": "submitted"} for one in (RATED, EDITED)]


def test_a_flat_record_is_put_together_again():
    rest = argilla(argilla_flat()).rest

    assert rest["suggestions"] == [SUGGESTED]
    assert rest["responses"] == [
        {**RATED, "status": "submitted"},
        {"question": "quality", "value": 2, "user_id": "u2", "status": "discarded"},
    ]
    assert rest["fields"] == {"model": "a-model"}


def test_of_a_vector_only_its_length_is_kept():
    assert argilla(argilla_record()).rest["vectors"] == {"sense": "3 numbers, not kept"}


def test_a_solution_that_is_no_field_is_a_suggestion_or_else_an_answer_that_was_submitted():
    fields = {"instruction": INSTRUCTION}
    suggested = {"response": {"value": "suggested", "agent": "a-model"}}
    answers = {
        "response": [
            {"value": "a draft", "user_id": "u1", "status": "draft"},
            {"value": "submitted", "user_id": "u2", "status": "submitted"},
        ]
    }

    first = argilla(argilla_record(fields=fields, suggestions=suggested, responses=answers))
    second = argilla(argilla_record(fields=fields, suggestions={}, responses=answers))

    assert (first.solution, first.rest["solution_from"]) == ("suggested", "suggestion response")
    assert (second.solution, second.rest["solution_from"]) == ("submitted", "response response")


@pytest.mark.parametrize(
    ("record", "rule", "why"),
    [
        (argilla_record(fields={"text": "Add one."}), "missing_field", "there are 'text'"),
        (
            argilla_record(fields={"instruction": "Add one.", "response": 1}),
            "wrong_type",
            "response holds a number",
        ),
        (argilla_record(suggestions="none"), "wrong_type", "suggestions does not hold a list of objects"),
        (argilla_record(responses={"quality": "5"}), "wrong_type", "responses.quality does not hold"),
        (argilla_record(responses=[{"values": "5"}]), "wrong_type", "the values of a response are text"),
        (argilla_record(fields="none"), "missing_field", "no key instruction"),
    ],
)
def test_a_record_of_another_shape_is_refused(record: dict[str, Any], rule: str, why: str):
    with pytest.raises(Refused) as refused:
        argilla(record)

    assert refused.value.rule == rule
    assert why in refused.value.why


@pytest.mark.parametrize("empty", [None, {}, []])
def test_a_record_that_nobody_has_answered_has_nothing_said(empty: Any):
    rest = argilla(argilla_record(suggestions=empty, responses=empty, vectors=empty, metadata=empty)).rest

    assert rest["suggestions"] == rest["responses"] == []

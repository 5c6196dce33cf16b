"""Records of Argilla exports as the parts of an instance. Pure.

Three shapes are read: that of Argilla 2 (`dataset.records.to_json`: fields, suggestions and responses by the name
of their question), the same made flat (`to_datasets`, `to_list(flatten=True)`: `NAME.suggestion`, `NAME.responses`),
and FeedbackRecords of Argilla 1 (lists of suggestions and of responses with `values`). What people and models said
is brought into one form, and is kept beside the instance: it is nobody's decision here.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from app.ingestion.decoding import Refused, in_words
from app.ingestion.fields import Parts, optional, required

INSTRUCTION = ("instruction", "prompt", "question", "request")
INFORMATION = ("information", "input", "context")
SOLUTION = ("solution", "output", "response", "completion", "answer", "code")

Said = dict[str, Any]  # question, value and who says so


def argilla(record: Mapping[str, Any]) -> Parts:
    """The texts among a record's fields; a solution that is no field is looked for in its suggestions and responses.

    Raises Refused for what is no such record, or lacks a text.
    """
    whole = record if isinstance(record.get("fields"), dict) else _nested(record)
    fields = _object(whole, "fields")
    suggestions = list(_suggestions(whole.get("suggestions") or {}))
    responses = list(_responses(whole.get("responses") or {}))
    metadata = whole.get("metadata") or {}
    rest = {
        name: value for name, value in whole.items() if name not in ("fields", "suggestions", "responses")
    }
    rest |= {"suggestions": suggestions, "responses": responses}
    if vectors := whole.get("vectors"):
        rest["vectors"] = _lengths(vectors)
    answer = _answer(fields, suggestions, responses)
    if answer:
        rest["solution_from"], fields = answer[0], {**fields, SOLUTION[0]: answer[1]}
    names = (INSTRUCTION, INFORMATION, SOLUTION)
    used = {next((name for name in known if fields.get(name) is not None), "") for known in names}
    others = {name: value for name, value in fields.items() if name not in used}
    return Parts(
        instruction=required(fields, *INSTRUCTION),
        information=optional(fields, *INFORMATION),
        solution=required(fields, *SOLUTION),
        own={**(metadata if isinstance(metadata, dict) else {}), **others},
        rest=rest | {"fields": others},
        external_id=whole.get("external_id") or whole.get("id"),
    )


def _answer(
    fields: Mapping[str, Any], suggestions: list[Said], responses: list[Said]
) -> tuple[str, str] | None:
    """(where it stands, the text) of a solution that the fields do not hold."""
    if any(fields.get(name) is not None for name in SOLUTION):
        return None
    submitted = [one for one in responses if one.get("status") in (None, "submitted")]
    for kind, said in (("suggestion", suggestions), ("response", submitted)):
        for one in said:
            if one["question"] in SOLUTION and isinstance(one["value"], str):
                return f"{kind} {one['question']}", one["value"]
    return None


def _nested(record: Mapping[str, Any]) -> dict[str, Any]:
    """A flat record with its questions' answers put together again; fields and metadata cannot be told apart."""
    whole: dict[str, Any] = {"fields": {}, "suggestions": {}, "responses": {}}
    for name, value in record.items():
        question, _, what = name.partition(".")
        match what:
            case "" if name in ("id", "status", "_server_id"):
                whole[name] = value
            case "suggestion" if value is not None:
                about = {part: record.get(f"{name}.{part}") for part in ("score", "agent")}
                whole["suggestions"][question] = {"value": value, **about}
            case "responses" if isinstance(value, list):
                users, statuses = record.get(f"{name}.users"), record.get(f"{name}.status")
                whole["responses"][question] = [
                    {"value": one, "user_id": _at(users, place), "status": _at(statuses, place)}
                    for place, one in enumerate(cast(list[Any], value))
                ]
            case "suggestion" | "suggestion.score" | "suggestion.agent" | "responses":
                pass
            case "responses.users" | "responses.status":
                pass
            case _:
                whole["fields"][name] = value
    return whole


def _at(values: Any, place: int) -> Any:
    return cast(list[Any], values)[place] if isinstance(values, list) and place < len(values) else None


def _suggestions(given: Any) -> Iterator[Said]:
    if isinstance(given, dict):
        for question, one in cast(Mapping[str, Any], given).items():
            about = one if isinstance(one, dict) else {"value": one}
            yield _said(question, about, "score", "agent", "type")
        return
    for one in _list(given, "suggestions"):
        yield _said(one.get("question_name") or one.get("question_id"), one, "score", "agent", "type")


def _responses(given: Any) -> Iterator[Said]:
    if isinstance(given, dict):
        for question, answers in cast(Mapping[str, Any], given).items():
            for one in _list(answers, f"responses.{question}"):
                yield _said(question, one, "user_id", "status")
        return
    for one in _list(given, "responses"):
        values = one.get("values") or {}
        if not isinstance(values, dict):
            raise Refused("wrong_type", f"the values of a response are {in_words(values)}, not an object")
        for question, answer in cast(Mapping[str, Any], values).items():
            value = cast(Mapping[str, Any], answer).get("value") if isinstance(answer, dict) else answer
            yield _said(question, {**one, "value": value}, "user_id", "status")


def _said(question: Any, one: Mapping[str, Any], *about: str) -> Said:
    known = {name: one[name] for name in about if one.get(name) is not None}
    return {"question": str(question), "value": one.get("value"), **known}


def _object(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = whole.get(name)
    if not isinstance(value, dict):
        raise Refused("wrong_type", f"the key {name} holds {in_words(value)}, not an object")
    return cast(Mapping[str, Any], value)


def _list(given: Any, name: str) -> list[Mapping[str, Any]]:
    if isinstance(given, list) and all(isinstance(one, dict) for one in cast(list[Any], given)):
        return cast(list[Mapping[str, Any]], given)
    raise Refused("wrong_type", f"the key {name} does not hold a list of objects")


def _lengths(vectors: Any) -> Any:
    """How long each vector is; the numbers themselves would be most of the database and say nothing to people."""
    if not isinstance(vectors, dict):
        return None
    return {
        name: f"{len(cast(list[Any], one))} numbers, not kept" if isinstance(one, list) else "not kept"
        for name, one in cast(Mapping[str, Any], vectors).items()
    }

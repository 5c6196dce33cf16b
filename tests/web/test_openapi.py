"""The OpenAPI document tells the truth about refusals and shows an example of everything."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.main import create_app

DOCUMENT: dict[str, Any] = create_app().openapi()
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


@pytest.mark.parametrize(("name", "operation"), OPERATIONS, ids=[name for name, _ in OPERATIONS])
def test_an_operation_says_what_it_does_and_how_it_refuses(name: str, operation: dict[str, Any]) -> None:
    refused = [code for code in operation["responses"] if code.startswith("4")]

    assert operation.get("description"), f"{name} has no description"
    assert refused
    assert all("application/json" not in operation["responses"][code].get("content", {}) for code in refused)


def test_what_is_sent_and_answered_comes_with_an_example() -> None:
    """A model has an example of itself or of some of its fields; a page has those of its items."""
    bare = sorted(
        {name for _, operation in OPERATIONS for name in models_of(operation) if not has_example(name)}
    )
    assert bare == []


def models_of(operation: dict[str, Any]) -> Iterator[str]:
    """Names of the models in the body and the successful answers of an operation."""
    bodies = [operation.get("requestBody", {})]
    bodies += [answer for code, answer in operation["responses"].items() if code.startswith("2")]
    for body in bodies:
        for content in body.get("content", {}).values():
            if "$ref" in content.get("schema", {}):
                yield content["schema"]["$ref"].rpartition("/")[2]


def has_example(name: str) -> bool:
    model = DOCUMENT["components"]["schemas"][name]
    fields = model.get("properties", {})
    if name.startswith("Page_"):
        return has_example(fields["items"]["items"]["$ref"].rpartition("/")[2])
    is_upload = name.startswith("Body_")
    return is_upload or "examples" in model or any("examples" in field for field in fields.values())

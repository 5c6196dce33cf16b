"""An OpenAPI document as the tables that the reference page shows. Pure."""

from typing import Any, NamedTuple


class Parameter(NamedTuple):
    name: str
    where: str  # path, query, header or body
    type: str
    required: bool
    description: str


class Operation(NamedTuple):
    anchor: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Parameter]
    answers: list[tuple[str, str, str]]  # (status, description, name of the schema)


def operations_by_tag(document: dict[str, Any]) -> dict[str, list[Operation]]:
    """Every operation below its first tag, in the document's order."""
    groups: dict[str, list[Operation]] = {}
    for path, methods in document.get("paths", {}).items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(document, path, method, operation))
    return groups


def schemas(document: dict[str, Any]) -> dict[str, list[Parameter]]:
    """Every named object with its fields."""
    named: dict[str, Any] = document.get("components", {}).get("schemas", {})
    return {name: _fields(schema, "body") for name, schema in named.items() if "properties" in schema}


def _operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> Operation:
    parameters = [
        Parameter(
            one["name"],
            one["in"],
            type_name(one.get("schema", {})),
            one.get("required", False),
            one.get("description", ""),
        )
        for one in operation.get("parameters", [])
    ]
    for body in operation.get("requestBody", {}).get("content", {}).values():
        parameters += _fields(_resolved(document, body.get("schema", {})), "body")
    answers = [
        (status, answer.get("description", ""), _answer_type(answer))
        for status, answer in operation.get("responses", {}).items()
    ]
    return Operation(
        operation["operationId"],
        method.upper(),
        path,
        operation.get("summary", ""),
        operation.get("description", ""),
        parameters,
        answers,
    )


def _answer_type(answer: dict[str, Any]) -> str:
    for content in answer.get("content", {}).values():
        return type_name(content.get("schema", {}))
    return ""


def _fields(schema: dict[str, Any], where: str) -> list[Parameter]:
    required = schema.get("required", [])
    return [
        Parameter(name, where, type_name(field), name in required, field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def type_name(schema: dict[str, Any]) -> str:
    """A schema in a few words: "integer", "list of Run", "read | review | admin", "text or null"."""
    match schema:
        case {"$ref": str(reference)}:
            return reference.rpartition("/")[2]
        case {"enum": values}:
            return " | ".join(str(value) for value in values)
        case {"anyOf": options} | {"oneOf": options} | {"allOf": options}:
            return " or ".join(type_name(option) for option in options)
        case {"type": "array"}:
            return f"list of {type_name(schema.get('items', {}))}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"object of {type_name(values)}"
        case _:
            kind = schema.get("format") or schema.get("contentMediaType") or schema.get("type", "anything")
            return _PLAIN_TYPES.get(str(kind), str(kind))


_PLAIN_TYPES = {"string": "text", "date-time": "time", "binary": "file", "application/octet-stream": "file"}

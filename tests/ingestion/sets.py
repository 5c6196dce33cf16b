"""Rows of finished sets, valid by default."""

from typing import Any


def alpaca_row(number: int = 0, **values: Any) -> dict[str, Any]:
    """A row whose text differs from that of every other number."""
    return {
        "instruction": f"Write a Python function that adds {number} to a number.",
        "input": "",
        "output": f"def add_{number}(x):\n    return x + {number}\n",
    } | values


def codeocean_row(**values: Any) -> dict[str, Any]:
    """One of our own release rows, with all its keys."""
    return {
        "id": "other-7",
        "schema_version": 1,
        "task": "repair",
        "task_name": "code repair",
        "instruction": "The Go function returns the smaller number. Repair it.",
        "information": "func Max(a, b int) int { if a < b { return a }; return b }",
        "solution": "func Max(a, b int) int { if a > b { return a }; return b }",
        "language": "go",
        "target_language": None,
        "source": {
            "repo": "owner/numbers",
            "path": "max.go",
            "sha": "a" * 40,
            "url": "https://github.com/owner/numbers",
            "license": "MIT",
            "snippet_hash": "b" * 64,
        },
        "generator": "a-model",
        "discriminator": "a-judge",
        "decision": "accept",
        "revision": 1,
        "served_as_exemplar": False,
        "hash": "c" * 64,
    } | values


def argilla_record(**values: Any) -> dict[str, Any]:
    """As `dataset.records.to_json` of Argilla 2 writes it."""
    return {
        "id": "mine-3",
        "fields": {"instruction": "Add one to a number in Ruby.", "response": "def inc(x)\n  x + 1\nend\n"},
        "metadata": {"model": "a-model", "topic": "numbers"},
        "suggestions": {"quality": {"value": 4, "score": 0.9, "agent": "a-judge"}},
        "responses": {
            "quality": [{"value": 5, "user_id": "u1"}, {"value": 2, "user_id": "u2"}],
            "corrected": [{"value": "def inc(x) = x + 1", "user_id": "u1"}],
        },
        "vectors": {"sense": [0.1, 0.2, 0.3]},
        "status": "completed",
        "_server_id": "5f0c",
    } | values


def argilla_flat(**values: Any) -> dict[str, Any]:
    """The same as `to_datasets` or `to_list(flatten=True)` write it."""
    return {
        "id": "mine-3",
        "status": "completed",
        "_server_id": "5f0c",
        "instruction": "Add one to a number in Ruby.",
        "response": "def inc(x)\n  x + 1\nend\n",
        "model": "a-model",
        "quality.responses": [5, 2],
        "quality.responses.users": ["u1", "u2"],
        "quality.responses.status": ["submitted", "discarded"],
        "quality.suggestion": 4,
        "quality.suggestion.score": 0.9,
        "quality.suggestion.agent": "a-judge",
    } | values


def argilla_one_record(**values: Any) -> dict[str, Any]:
    """A FeedbackRecord of Argilla 1."""
    return {
        "id": "5f0c",
        "external_id": "mine-3",
        "fields": {"prompt": "Add one to a number in Ruby.", "output": "def inc(x)\n  x + 1\nend\n"},
        "metadata": {"topic": "numbers"},
        "suggestions": [
            {"question_name": "quality", "type": "model", "value": 4, "score": 0.9, "agent": "a-judge"}
        ],
        "responses": [
            {
                "user_id": "u1",
                "values": {"quality": {"value": 5}, "corrected": {"value": "def inc(x) = x + 1"}},
                "status": "submitted",
            }
        ],
    } | values

"""What answers look like, for the OpenAPI document. Pure."""

from pydantic.config import JsonDict

DECISION: JsonDict = {
    "id": 3,
    "instance_id": 7,
    "person": "ada",
    "stream": "work",
    "action": "reject",
    "reason": "incorrect",
    "note": "Off by one.",
    "revision": 0,
    "new_revision": None,
    "verdict_id": 12,
    "guideline_version": 1,
    "rules": {"readable": "no"},
    "created_at": "2026-11-22T10:00:00Z",
    "undone_at": None,
}
ROW: JsonDict = {
    "id": 7,
    "status": "waiting",
    "task": "generation",
    "language": "python",
    "verdict": "pass",
    "contradictory": False,
    "task_name": "code generation",
    "instruction": "Write a Python function that adds a prefix to selected lines of a text.",
    "snippet": "Lib/textwrap.py indent",
    "revision": 0,
    "created_at": "2026-11-22T10:00:00Z",
}
LEASE: JsonDict = {"token": "Zk3v...", "expires_at": "2026-11-22T10:10:00Z"}

_SOLUTION = "def double(x):\n    return 2 * x"
_TEXTS: JsonDict = {
    "instruction": "Write a Python function that doubles a number.",
    "information": "def double(x):",
    "solution": _SOLUTION,
}
INSTANCE: JsonDict = {
    "id": 7,
    "project": "demo",
    "run_id": 3,
    "status": "waiting",
    "unusable_reason": None,
    "task": "generation",
    "language": "python",
    "target_language": None,
    "granularity": None,
    "bug": None,
    "candidate": 0,
    "task_name": "code generation",
    **_TEXTS,
    "revision": 0,
    "generator": "a-model",
    "discriminator": "a-model",
    "prompt_hash": "bffa85058a6c...",
    "created_at": "2026-11-22T10:00:00Z",
    "snippet": {
        "id": 1042,
        "language": "python",
        "name": "double",
        "comment": "Double a number.",
        "code": _SOLUTION,
        "repo": "owner/repository",
        "path": "package/arithmetic.py",
        "sha": "9b1c...",
        "url": "",
        "license": "MIT",
    },
    "pick": {"id": 12, "selection_id": 2, "rank": 5, "radius": 1.18},
    "evidence": [
        {
            "kind": "parses",
            "revision": 0,
            "result": "pass",
            "detail": "the solution is Python",
            "created_at": "2026-11-22T10:00:01Z",
        }
    ],
    "verdict": {
        "id": 12,
        "revision": 0,
        "overall": "pass",
        "claimed": "yes",
        "contradictory": False,
        "why_invalid": None,
        "rules_hash": "41c2...",
        "call_id": 31,
        "mended": False,
        "created_at": "2026-11-22T10:00:03Z",
        "rules": [
            {
                "rule": "language_named",
                "text": "The instruction names the programming language; that of a translation names both.",
                "required": True,
                "checked_by": "machine",
                "answer": "yes",
                "reason": "it names Python",
            }
        ],
    },
    "calls": [
        {
            "id": 30,
            "stage": "generate",
            "attempt": 1,
            "model": "a-model",
            "state": "done",
            "request_hash": "77aa...",
            "template_hash": "bffa85058a6c...",
            "good_exemplar_id": 1,
            "bad_exemplar_id": 5,
            "sent_at": "2026-11-22T10:00:00Z",
            "latency_ms": 812,
            "prompt_tokens": 610,
            "completion_tokens": 84,
            "cost_usd": 0.000142,
            "reply": '{"task_name": "code generation", ...}',
            "finish_reason": "stop",
            "refusal": None,
            "error_code": None,
            "error_detail": None,
        }
    ],
    "decisions": [],
    "revisions": [
        {"number": 0, "person": None, **_TEXTS, "edit_distance": 0, "created_at": "2026-11-22T10:00:01Z"}
    ],
    "similar": [],
    "sent_back": None,
    "warnings": [{"reason": "hidden_characters", "where": "code", "excerpt": "isU+200BAdmin = isAdmin"}],
    "imported": None,
}

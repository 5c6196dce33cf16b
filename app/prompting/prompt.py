"""What is asked of a model and what came back."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Prompt(NamedTuple):
    """One question to a model, rendered. The same fields give the same request hash."""

    system: str
    user: str
    schema_name: str
    schema: Mapping[str, Any]  # JSON schema of the reply, strict
    template_hash: str  # SHA-256 of the template and of the rules it was rendered from
    max_output_tokens: int
    temperature: float = 0.0
    sample: int = 0  # the how-manieth answer to the same question
    good_exemplar_id: int | None = None
    bad_exemplar_id: int | None = None
    repeats: str | None = None  # what was wrong with the last reply, where the question says so


class Reply(NamedTuple):
    """What came back, raw. `finish_reason` is the provider's word: stop, length, content_filter ..."""

    text: str
    finish_reason: str
    refusal: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    requests_per_minute: int | None = None  # what the provider says it allows, where it says so
    tokens_per_minute: int | None = None


class Answered(NamedTuple):
    """A question that needs no model: the offline teacher or judge has already answered it."""

    reply: Reply
    template_hash: str
    good_exemplar_id: int | None = None
    bad_exemplar_id: int | None = None

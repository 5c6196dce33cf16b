"""What a card, a history and a list row consist of: the JSON of the API, and what the templates show. Pure."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.review.examples import DECISION, INSTANCE, LEASE, ROW


class _Shape(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class SnippetShape(_Shape):
    id: int
    language: str
    name: str
    comment: str
    code: str
    repo: str
    path: str
    sha: str
    url: str
    license: str | None


class PickShape(_Shape):
    id: int
    selection_id: int
    rank: int
    radius: float


class EvidenceShape(_Shape):
    kind: str
    revision: int
    result: str
    detail: str
    created_at: datetime


class RuleShape(_Shape):
    rule: str
    text: str
    required: bool
    checked_by: str
    answer: str
    reason: str

    @property
    def failed(self) -> bool:
        return self.answer == "no"


class VerdictShape(_Shape):
    """A machine's opinion of one revision. `claimed` is the model's own word, `overall` what the rules give.

    `mended`: its reply was broken JSON, read after a repair.
    """

    id: int
    revision: int
    overall: str
    claimed: str | None
    contradictory: bool
    why_invalid: str | None
    rules_hash: str
    call_id: int
    mended: bool = False
    created_at: datetime
    rules: list[RuleShape]


class CallShape(_Shape):
    id: int
    stage: str
    attempt: int
    model: str
    state: str
    request_hash: str
    template_hash: str
    good_exemplar_id: int | None
    bad_exemplar_id: int | None
    sent_at: datetime
    latency_ms: int | None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    reply: str | None
    finish_reason: str | None
    refusal: str | None
    error_code: str | None
    error_detail: str | None


class DecisionShape(_Shape):
    model_config = ConfigDict(json_schema_extra={"examples": [DECISION]})

    id: int
    instance_id: int
    person: str
    stream: str
    action: str
    reason: str | None
    note: str
    revision: int
    new_revision: int | None
    verdict_id: int | None
    guideline_version: int | None
    bulk_action_id: int | None = None
    round: int = 0  # of reading: what was sent back or restored is read anew
    is_adjudication: bool = False
    audit_id: int | None = None
    defect: bool | None = None  # the label that an audit's reader gave, apart from what became of the text
    rules: dict[str, str]
    created_at: datetime
    undone_at: datetime | None


class RevisionShape(_Shape):
    """`person` is null for the model's own text, number 0. `base`: the one that the person began with."""

    number: int
    base: int = 0
    person: str | None
    instruction: str
    information: str
    solution: str
    edit_distance: int
    created_at: datetime


class SimilarShape(_Shape):
    """Another instance of the project like this one. For now only exact copies of the text are looked for."""

    id: int
    status: str
    kind: str = "exact"


class ImportedShape(_Shape):
    """What an instance of a finished set came with. Nothing in it is a decision of somebody here."""

    source_id: int
    source: str  # what the set is called
    format: str
    line: int  # in its file; of a JSON array the number of the record
    external_id: str | None
    license: str | None
    kept: dict[str, Any]  # suggestions, responses, metadata and other keys, as the record had them
    hidden: int = 0  # answers of people that the viewer must not know yet


class WarningShape(_Shape):
    """What in an instance may be meant for a model and not for people, or was read from a broken reply."""

    reason: str = Field(examples=["hidden_characters"])
    where: str = Field(description="instruction, information, solution, code, comment or reply")
    excerpt: str = Field(examples=["isU+200BAdmin = isAdmin"])


class SentBackShape(BaseModel):
    """That the instance went back to its generator once, with its first text."""

    model_config = ConfigDict(from_attributes=True)

    analysis: str = Field(description="What the verdict and the checks had found")
    instruction: str
    information: str
    solution: str
    call_id: int | None = Field(description="The call that corrected it; null: none has")
    why_kept: str | None = Field(description="Why the first text stays")
    created_at: datetime


class InstanceShape(_Shape):
    """One instance with everything that is known about it."""

    model_config = ConfigDict(json_schema_extra={"examples": [INSTANCE]})

    id: int
    project: str
    run_id: int
    status: str
    unusable_reason: str | None
    task: str
    language: str
    target_language: str | None
    granularity: str | None = Field(None, description="Of a summarization: line, paragraph or steps")
    bug: str | None
    candidate: int
    task_name: str
    instruction: str
    information: str
    solution: str
    revision: int
    generator: str
    discriminator: str
    prompt_hash: str | None  # of the template that the generating call was rendered from
    created_at: datetime
    snippet: SnippetShape | None
    pick: PickShape | None
    evidence: list[EvidenceShape]
    verdict: VerdictShape | None
    sent_back: SentBackShape | None = None
    calls: list[CallShape]
    decisions: list[DecisionShape]
    hidden_decisions: int = 0  # other people's, of an instance that is still to be read without knowing them
    revisions: list[RevisionShape]
    similar: list[SimilarShape]
    warnings: list[WarningShape] = Field(default=[], description="Empty for whoever reads it blind")
    imported: ImportedShape | None = None


class InstanceRow(_Shape):
    """An instance in a list: light, without snippet, information and solution."""

    model_config = ConfigDict(json_schema_extra={"examples": [ROW]})

    id: int
    status: str
    task: str
    language: str
    verdict: str | None
    contradictory: bool
    task_name: str
    instruction: str
    snippet: str | None  # repository path and name of the function
    revision: int
    created_at: datetime


class LeaseShape(_Shape):
    model_config = ConfigDict(json_schema_extra={"examples": [LEASE]})

    token: str
    expires_at: datetime


class DrawShape(_Shape):
    """Which draw of an audit it is: `position` of the part that is drawn at random, or read in full (census)."""

    audit_id: int
    part: str
    position: int


class LabelChangeShape(_Shape):
    """A label of an audit that was looked at again. `state`: of the audit, as it follows."""

    id: int
    audit_id: int
    instance_id: int
    decision_id: int | None
    person: str
    at: datetime
    before: bool  # whether it counted as a defect
    after: bool
    why: str = Field(examples=["adjudicated"])
    note: str
    state: str


class CardShape(_Shape):
    """An instance in the caller's hands until `lease.expires_at`. In the audit stream it is the frozen one, and what
    machines and people say about it is left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"instance": INSTANCE, "lease": LEASE}]})

    instance: InstanceShape
    lease: LeaseShape
    draw: DrawShape | None = None  # in the audit stream

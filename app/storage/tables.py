"""Every table, in pipeline order: a foreign key only points up the page.

Money is in micro-dollars. Times are the database's. A row of the pipeline belongs to one project.
"""

from datetime import datetime
from typing import Any

from pgvector.sqlalchemy import Vector
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this plain class attribute
        str: Text,
        int: BigInteger,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[str]: JSONB,
    }


class _Numbered:
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)


class _Created:
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


def _words(table: str, *columns: str) -> Index:
    """Trigrams, so that a word is found anywhere in one of these columns."""
    return Index(
        f"ix_{table}_words",
        *columns,
        postgresql_using="gin",
        postgresql_ops=dict.fromkeys(columns, "gin_trgm_ops"),
    )


# --- people -----------------------------------------------------------------------------------------------


class Person(_Numbered, _Created, Base):
    __tablename__ = "person"

    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    must_change_password: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)


class Project(_Numbered, _Created, Base):
    """One dataset in the making."""

    __tablename__ = "project"

    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    reasons: Mapped[list[str]]  # why people reject, edit or skip: the project's own list
    allowed_licenses: Mapped[list[str] | None]  # SPDX ids; without a list every one is admitted
    is_demo: Mapped[bool] = mapped_column(default=False)


class Membership(_Numbered, Base):
    """A role of a person in one project, or in all of them where `project_id` is null."""

    __tablename__ = "membership"
    __table_args__ = (
        UniqueConstraint("person_id", "project_id", postgresql_nulls_not_distinct=True),
        CheckConstraint("role IN ('admin', 'annotator', 'viewer')", name="role"),
    )

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id"))
    role: Mapped[str]


class SignIn(_Numbered, _Created, Base):
    """One browser's session. Only the hash of its cookie is kept."""

    __tablename__ = "sign_in"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id"))  # the one looked at last
    token_hash: Mapped[str] = mapped_column(unique=True)
    csrf_token: Mapped[str]
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


class ApiToken(_Numbered, _Created, Base):
    __tablename__ = "api_token"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    name: Mapped[str]
    scope: Mapped[str]
    prefix: Mapped[str]  # the first characters, to tell tokens apart on screen
    token_hash: Mapped[str] = mapped_column(unique=True)
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class LogEntry(_Numbered, Base):
    """Who did what, when. Rows are only ever added."""

    __tablename__ = "log_entry"

    at: Mapped[datetime] = mapped_column(server_default=func.now())
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))  # null: the system itself
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id"), index=True)
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


class IdempotencyKey(_Numbered, _Created, Base):
    """An answer kept under the key its client chose, so that a repeated POST changes nothing."""

    __tablename__ = "idempotency_key"
    __table_args__ = (UniqueConstraint("person_id", "key"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    key: Mapped[str]
    request_hash: Mapped[str]
    status: Mapped[int | None]  # null while the first request is still being answered
    headers: Mapped[dict[str, Any] | None]
    body: Mapped[str | None]


class Guideline(_Numbered, _Created, Base):
    """A version of what a project asks of its readers. The newest is in force."""

    __tablename__ = "guideline"
    __table_args__ = (UniqueConstraint("project_id", "version"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    version: Mapped[int]
    markdown: Mapped[str]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


class ReviewPolicy(Base):
    """How a project's instances are read; without a row, as `app.review.policy` has it by default."""

    __tablename__ = "review_policy"
    __table_args__ = (
        CheckConstraint("overlap_percent BETWEEN 0 AND 100", name="overlap_percent"),
        CheckConstraint("overlap_readers BETWEEN 2 AND 5", name="overlap_readers"),
        CheckConstraint("opinions_visible IN ('blind', 'open', 'admins')", name="opinions_visible"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    overlap_percent: Mapped[int]  # of the instances: so many are read by more than one
    overlap_readers: Mapped[int]  # by how many
    skips_return: Mapped[bool]  # what a reader skipped comes back to them when nothing else is left
    skips_to_adjudicate: Mapped[int]  # readers who skip before an adjudicator gets it; 0: never
    opinions_visible: Mapped[str]  # to annotators: blind until they decided, open, or to admins only
    speed_visible: Mapped[bool]  # to leads; otherwise a person's speed is their own to see


class ReaderLanguages(Base):
    """The languages that a person reads in a project; without a row, all of them."""

    __tablename__ = "reader_languages"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    languages: Mapped[list[str]]


class GuidelineSeen(Base):
    """The newest version a person has opened."""

    __tablename__ = "guideline_seen"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    version: Mapped[int]


class Price(Base):
    """What a model costs, in micro-dollars per million tokens."""

    __tablename__ = "price"

    model: Mapped[str] = mapped_column(primary_key=True)
    input_micro: Mapped[int]
    output_micro: Mapped[int]


class RateLimit(Base):
    """What a provider allows for a model, where somebody knows; null is unknown."""

    __tablename__ = "rate_limit"

    model: Mapped[str] = mapped_column(primary_key=True)
    requests_per_minute: Mapped[int | None]
    tokens_per_minute: Mapped[int | None]


# --- long work --------------------------------------------------------------------------------------------


class Run(_Numbered, _Created, Base):
    """One piece of long work of any kind."""

    __tablename__ = "run"
    __table_args__ = (Index("ix_run_project_id_id", "project_id", "id"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str]
    state: Mapped[str]
    priority: Mapped[str] = mapped_column(server_default=text("'normal'"), default="normal")
    reason: Mapped[str | None]
    params: Mapped[dict[str, Any]]
    progress: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))  # a job's checkpoint
    total: Mapped[int] = mapped_column(default=0)
    budget_micro: Mapped[int | None]
    cost_micro: Mapped[int] = mapped_column(default=0)
    reserved_micro: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    stepped_at: Mapped[datetime | None]  # of a job: when its last step was committed


class RunEvent(_Numbered, Base):
    """What was decided about a run, by whom and why. Rows are only ever added."""

    __tablename__ = "run_event"
    __table_args__ = (Index("ix_run_event_run_id_id", "run_id", "id"),)

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))  # null: the engine itself
    event: Mapped[str]  # paused, resumed, completed ...
    detail: Mapped[str] = mapped_column(default="")


class RunCount(Base):
    """How many rows of a run ended how: added, duplicate, passed ... Together with `pending`: the total."""

    __tablename__ = "run_count"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    rows: Mapped[int] = mapped_column(default=0)


class Goal(Base):
    """How many instances of a lane (a task in a language) have to pass before its run leaves the rest undone.

    Every attempt is planned at the start and parked; planned = parked + let_go, let_go = active + passed + ended.
    """

    __tablename__ = "goal"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    lane: Mapped[str] = mapped_column(primary_key=True)  # generation/python
    wanted: Mapped[int]
    planned: Mapped[int]
    let_go: Mapped[int] = mapped_column(default=0)
    passed: Mapped[int] = mapped_column(default=0)
    ended: Mapped[int] = mapped_column(default=0)  # in any other way


class WorkItem(_Numbered, _Created, Base):
    """One thing to do once. `lease_epoch` fences it: a late finisher with an older epoch changes nothing.

    `outcome` is null while the item is open and where the next stage goes on; otherwise it says how it ended,
    so that total = sum(outcomes) + open items holds in every state of a run.
    """

    __tablename__ = "work_item"
    __table_args__ = (
        UniqueConstraint("run_id", "stage", "source_id"),  # I3: one accepted result per item and stage
        Index(
            "ix_work_item_claim",
            "run_id",
            "stage",
            "id",
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_work_item_suspect",
            "run_id",
            "id",
            postgresql_where=text("losses >= 2 AND state IN ('pending', 'leased')"),
        ),
        Index("ix_work_item_lease", "run_id", "lease_expires_at", postgresql_where=text("state = 'leased'")),
        Index("ix_work_item_parked", "run_id", "lane", "id", postgresql_where=text("state = 'parked'")),
        Index(
            "ix_work_item_outcome", "run_id", "outcome", "id", postgresql_where=text("outcome IS NOT NULL")
        ),
        Index(
            "ix_work_item_trouble",
            "run_id",
            "error_code",
            postgresql_where=text("error_code IS NOT NULL AND state IN ('pending', 'failed')"),
        ),
    )

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    stage: Mapped[str]
    source_id: Mapped[int]
    lane: Mapped[str | None]  # of a run with goals
    state: Mapped[str] = mapped_column(default="pending")
    outcome: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)  # calls sent, not waits
    bad_replies: Mapped[int] = mapped_column(server_default=text("0"), default=0)  # of those, unusable
    losses: Mapped[int] = mapped_column(server_default=text("0"), default=0)  # its holder died that often
    reparse: Mapped[bool] = mapped_column(
        server_default=text("false"), default=False
    )  # read the last reply again
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=func.now())
    lease_owner: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    lease_epoch: Mapped[int] = mapped_column(default=0)
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]
    finished_at: Mapped[datetime | None]


class Worker(Base):
    """A worker process that is alive: it says so here, and `/readyz` reads it."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(primary_key=True)
    queue: Mapped[str]
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())


# --- ingestion --------------------------------------------------------------------------------------------


class Source(_Numbered, _Created, Base):
    """One file or folder of raw code that was ingested, or of a finished set that was imported."""

    __tablename__ = "source"

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    name: Mapped[str]
    format: Mapped[str]
    location: Mapped[str]  # an upload's content hash below FILES_DIR, or a path on the server
    license: Mapped[str | None]


class Rejection(_Numbered, Base):
    """An exhibit of the rejection ledger: one row that a rule refused (at most five per rule and run)."""

    __tablename__ = "rejection"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), index=True)
    rule: Mapped[str]
    file: Mapped[str]
    line: Mapped[int | None]
    excerpt: Mapped[str]
    why: Mapped[str]


class Snippet(_Numbered, _Created, Base):
    """One piece of raw code with its comment and its origin."""

    __tablename__ = "snippet"
    __table_args__ = (
        UniqueConstraint("project_id", "content_hash"),
        Index("ix_snippet_project_id_language_id", "project_id", "language", "id"),
        _words("snippet", "path", "name", "comment"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id"))
    language: Mapped[str]
    name: Mapped[str]  # the function's
    comment: Mapped[str]
    code: Mapped[str]
    repo: Mapped[str]
    path: Mapped[str]
    sha: Mapped[str]
    url: Mapped[str]
    license: Mapped[str | None]  # SPDX; null is unknown
    content_hash: Mapped[str]


# --- selection --------------------------------------------------------------------------------------------


class Embedding(Base):
    """One vector per (snippet, embedder)."""

    __tablename__ = "embedding"

    embedder: Mapped[str] = mapped_column(primary_key=True)
    snippet_id: Mapped[int] = mapped_column(ForeignKey("snippet.id"), primary_key=True)
    vector: Mapped[Any] = mapped_column(Vector())


class Selection(_Numbered, _Created, Base):
    __tablename__ = "selection"

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), unique=True)
    k: Mapped[int]
    seed: Mapped[int]
    languages: Mapped[list[str] | None]
    embedder: Mapped[str | None]  # known once it is fitted
    coverage: Mapped[dict[str, Any] | None]


class Pick(_Numbered, Base):
    __tablename__ = "pick"
    __table_args__ = (
        UniqueConstraint("selection_id", "rank"),
        UniqueConstraint("selection_id", "snippet_id"),
    )

    selection_id: Mapped[int] = mapped_column(ForeignKey("selection.id"))
    snippet_id: Mapped[int] = mapped_column(ForeignKey("snippet.id"))
    rank: Mapped[int]  # 1 is the first
    radius: Mapped[float]  # covering radius after this pick


# --- generation -------------------------------------------------------------------------------------------


class Template(_Numbered, _Created, Base):
    """A prompt template or a rule set by its content, kept from its first use: calls point at it."""

    __tablename__ = "template"

    content_hash: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]  # generate/repair, judge/repair, rules/repair ...
    version: Mapped[str]
    content: Mapped[str]


class PromptVersion(_Numbered, _Created, Base):
    """A text that a person wrote in the place of a shipped one: a prompt, or a project's whole set of rules.

    What is shipped has no row: it stands in the repository.
    """

    __tablename__ = "prompt_version"
    __table_args__ = (
        UniqueConstraint("project_id", "name", "version"),
        UniqueConstraint("project_id", "name", "content_hash"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    name: Mapped[str]  # generate/repair, judge/repair ..., or rules
    version: Mapped[int]
    content: Mapped[str]
    content_hash: Mapped[str]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    note: Mapped[str] = mapped_column(server_default=text("''"), default="")


class PromptInForce(Base):
    """What the next runs of a project render from; without a row, what is shipped."""

    __tablename__ = "prompt_in_force"

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)  # as of a template; and `rules` for the whole set
    content_hash: Mapped[str] = mapped_column(ForeignKey("template.content_hash"))


class RunTemplate(Base):
    """What a run renders from, and its rules: fixed at its start, what is shipped at its first use."""

    __tablename__ = "run_template"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    content_hash: Mapped[str] = mapped_column(ForeignKey("template.content_hash"))


class Instance(_Numbered, _Created, Base):
    """One instruction instance. The text is the current revision's; the model's own is revision 0."""

    __tablename__ = "instance"
    __table_args__ = (
        UniqueConstraint("run_id", "pick_id", "task", "candidate"),
        Index("ix_instance_project_id_status_id", "project_id", "status", "id"),
        Index("ix_instance_project_id_id", "project_id", "id"),
        # Any of these left out is skipped over: each has few values.
        Index("ix_instance_filters", "project_id", "status", "verdict", "task", "language", "id"),
        Index("ix_instance_project_id_text_hash", "project_id", "text_hash"),
        Index("ix_instance_accepted", "run_id", postgresql_where=text("status = 'accepted'")),
        # One queue for everybody (assigned to nobody) and one for each person with instances of their own.
        Index(
            "ix_instance_queue",
            "project_id",
            "assigned_to",
            "priority",
            "id",
            postgresql_where=text("status = 'waiting'"),
        ),
        Index("ix_instance_disputed", "project_id", "id", postgresql_where=text("status = 'disputed'")),
        _words("instance", "instruction", "task_name"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), index=True)
    pick_id: Mapped[int | None] = mapped_column(ForeignKey("pick.id"))
    snippet_id: Mapped[int | None] = mapped_column(ForeignKey("snippet.id"), index=True)
    candidate: Mapped[int] = mapped_column(default=0)  # the how-manieth of this pick and task
    task: Mapped[str]
    language: Mapped[str]
    target_language: Mapped[str | None]  # of a translation
    granularity: Mapped[str | None]  # of a summarization
    bug: Mapped[str | None]  # of a repair: what was asked to be broken, or the mutation that broke it
    status: Mapped[str] = mapped_column(default="generating")
    unusable_reason: Mapped[str | None]
    task_name: Mapped[str] = mapped_column(default="")
    instruction: Mapped[str] = mapped_column(default="")
    information: Mapped[str] = mapped_column(default="")
    solution: Mapped[str] = mapped_column(default="")
    text_hash: Mapped[str | None]  # of task, instruction, information and solution, for exact duplicates
    revision: Mapped[int] = mapped_column(default=0)
    verdict: Mapped[str | None]  # of the newest verdict, so that lists need no join
    contradictory: Mapped[bool] = mapped_column(default=False)
    priority: Mapped[int] = mapped_column(default=50)  # of the work stream: the lowest is read first
    assigned_to: Mapped[int | None] = mapped_column(ForeignKey("person.id"))  # null: to whoever comes
    round: Mapped[int] = mapped_column(
        server_default=text("0"), default=0
    )  # of reading; sent back begins anew
    readings: Mapped[int] = mapped_column(server_default=text("0"), default=0)  # of the round, that stand
    readings_wanted: Mapped[int | None]  # fixed when the first of the round comes in
    generator: Mapped[str] = mapped_column(default="")
    discriminator: Mapped[str] = mapped_column(default="")


class ImportedRecord(Base):
    """What an imported instance came with; its set is the source of its run."""

    __tablename__ = "imported_record"

    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), primary_key=True)
    line: Mapped[int]  # in the file, from 1; of a JSON array the number of the record
    external_id: Mapped[str | None]
    license: Mapped[str | None]  # SPDX, the row's own or the one given for the set; null is unknown
    kept: Mapped[
        dict[str, Any]
    ]  # suggestions, responses, metadata and whatever else is no text of the instance


class Exemplar(_Numbered, _Created, Base):
    """A judged good or bad case with its analysis. Shipped ones belong to no project."""

    __tablename__ = "exemplar"
    __table_args__ = (
        UniqueConstraint("project_id", "content_hash", postgresql_nulls_not_distinct=True),
        Index("ix_exemplar_project_id_task_is_good", "project_id", "task", "is_good"),
    )

    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id"))
    instance_id: Mapped[int | None] = mapped_column(ForeignKey("instance.id"))
    task: Mapped[str]
    language: Mapped[str]
    is_good: Mapped[bool]
    origin: Mapped[str]  # shipped, person or judge
    instruction: Mapped[str]
    information: Mapped[str]
    solution: Mapped[str]
    analysis: Mapped[str]
    content_hash: Mapped[str]


class SentBack(_Created, Base):
    """That an instance went back to its generator once: its first text, what was found, and what came of it."""

    __tablename__ = "sent_back"

    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), primary_key=True)
    judge_call_id: Mapped[int] = mapped_column(ForeignKey("call.id"))  # whose verdict sent it back
    instruction: Mapped[str]
    information: Mapped[str]
    solution: Mapped[str]
    analysis: Mapped[str]
    call_id: Mapped[int | None] = mapped_column(
        ForeignKey("call.id")
    )  # that corrected it; null: not yet, or never
    why_kept: Mapped[str | None]  # why the first text stays


class ExemplarStanding(_Created, Base):
    """What a project's people have said about a case, shipped ones too; no row: it stands as any other."""

    __tablename__ = "exemplar_standing"
    __table_args__ = (CheckConstraint("standing IN ('pinned', 'retired')", name="standing"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    exemplar_id: Mapped[int] = mapped_column(
        ForeignKey("exemplar.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    standing: Mapped[str]
    note: Mapped[str]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


class RunExemplar(Base):
    """The snapshot: which exemplars a run may draw from, frozen when it starts."""

    __tablename__ = "run_exemplar"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    exemplar_id: Mapped[int] = mapped_column(ForeignKey("exemplar.id"), primary_key=True, index=True)


class Call(_Numbered, Base):
    """One question to a model: written `sent` before the request, closed after. A crash leaves `unknown`."""

    __tablename__ = "call"
    __table_args__ = (
        Index("ix_call_sent", "sent_at", postgresql_where=text("state = 'sent'")),
        Index("ix_call_item", "item_id"),
        Index("ix_call_run_id_closed_at", "run_id", "closed_at"),
        Index("ix_call_unknown", "run_id", "id", postgresql_where=text("state = 'unknown'")),
        Index(
            "ix_call_good_exemplar_id",
            "good_exemplar_id",
            postgresql_where=text("good_exemplar_id IS NOT NULL"),
        ),
        Index(
            "ix_call_bad_exemplar_id",
            "bad_exemplar_id",
            postgresql_where=text("bad_exemplar_id IS NOT NULL"),
        ),
        Index("ix_call_cache", "request_hash", postgresql_where=text("usable IS TRUE")),
        CheckConstraint("state IN ('sent', 'done', 'failed', 'unknown', 'cached')", name="state"),
    )

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("work_item.id"))
    stage: Mapped[str]
    source_id: Mapped[int] = mapped_column(index=True)  # the instance that the call is about
    attempt: Mapped[int]
    model: Mapped[str]
    state: Mapped[str]
    request_hash: Mapped[str]
    template_hash: Mapped[str]
    good_exemplar_id: Mapped[int | None] = mapped_column(ForeignKey("exemplar.id"))
    bad_exemplar_id: Mapped[int | None] = mapped_column(ForeignKey("exemplar.id"))
    repeats: Mapped[str | None]  # what the question says was wrong with the last reply
    sent_at: Mapped[datetime] = mapped_column(server_default=func.now())
    closed_at: Mapped[datetime | None]
    latency_ms: Mapped[int | None]
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    reserved_micro: Mapped[int] = mapped_column(default=0)
    cost_micro: Mapped[int] = mapped_column(default=0)
    written_off_at: Mapped[datetime | None]  # somebody gave back the reservation of an `unknown` call
    reply: Mapped[str | None]  # raw, whatever it was
    usable: Mapped[
        bool | None
    ]  # whether its stage could use the reply: then it answers the same request again
    finish_reason: Mapped[str | None]
    refusal: Mapped[str | None]
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]


class CallTally(Base):
    """What the closed calls of a run come to, kept in the transactions that close them."""

    __tablename__ = "call_tally"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    stage: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(primary_key=True)  # done, failed, unknown or cached
    calls: Mapped[int] = mapped_column(default=0)
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    cost_micro: Mapped[int] = mapped_column(default=0)


class Evidence(_Numbered, _Created, Base):
    """What one mechanical check found about one revision of an instance."""

    __tablename__ = "evidence"
    __table_args__ = (UniqueConstraint("instance_id", "revision", "kind"),)

    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"))
    revision: Mapped[int]
    kind: Mapped[str]
    result: Mapped[str]
    detail: Mapped[str] = mapped_column(default="")


# --- discrimination ---------------------------------------------------------------------------------------


class VerdictRow(_Numbered, _Created, Base):
    """The discriminator's opinion of one revision. `overall` is computed from the rules, never read."""

    __tablename__ = "verdict"
    __table_args__ = (UniqueConstraint("instance_id", "call_id"),)

    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), index=True)
    call_id: Mapped[int] = mapped_column(ForeignKey("call.id"))
    revision: Mapped[int]
    overall: Mapped[str]
    claimed: Mapped[str | None]  # the model's own overall word
    contradictory: Mapped[bool]  # the claim and the rules disagree
    why_invalid: Mapped[str | None]
    rules_hash: Mapped[str]


class RuleAnswer(_Numbered, Base):
    __tablename__ = "rule_answer"
    __table_args__ = (UniqueConstraint("verdict_id", "rule"),)

    verdict_id: Mapped[int] = mapped_column(ForeignKey("verdict.id"))
    rule: Mapped[str]
    text: Mapped[str]  # the rule as it stood
    required: Mapped[bool]
    checked_by: Mapped[str]  # model or machine
    answer: Mapped[str]  # yes, no or not_checked
    reason: Mapped[str] = mapped_column(default="")


# --- review -----------------------------------------------------------------------------------------------


class Draft(Base):
    """What a person has typed over an instance and not decided yet."""

    __tablename__ = "draft"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), primary_key=True, index=True)
    version: Mapped[int]  # counts the times it was saved: two tabs must not overwrite each other unseen
    revision: Mapped[int]  # the one that was on screen
    instruction: Mapped[str]
    information: Mapped[str]
    solution: Mapped[str]
    note: Mapped[str]
    saved_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Revision(_Numbered, _Created, Base):
    """The text of an instance at one time. Number 0 is the model's own, later ones are people's."""

    __tablename__ = "revision"
    __table_args__ = (UniqueConstraint("instance_id", "number"),)

    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"))
    number: Mapped[int]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    instruction: Mapped[str]
    information: Mapped[str]
    solution: Mapped[str]
    edit_distance: Mapped[int] = mapped_column(default=0)  # characters, against the revision before


class Audit(_Numbered, Base):
    """A frozen lot and the claim that is tested on it. What the test says is computed from the labels, never kept."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_project_id_id", "project_id", "id"),
        CheckConstraint("census IN ('none', 'read', 'drop')", name="census"),
        CheckConstraint("state IN ('open', 'certified', 'failed', 'abandoned')", name="state"),
        CheckConstraint("max_defect_rate > 0 AND max_defect_rate < 1", name="max_defect_rate"),
        CheckConstraint("alpha > 0 AND alpha < 1", name="alpha"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))  # null: the command line
    frozen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    filters: Mapped[dict[str, Any]]
    gates: Mapped[dict[str, Any]]  # what each did before the freeze, as a release's manifest has it
    census: Mapped[str]  # of the suspicious part: none (there is no such part), read or drop
    max_defect_rate: Mapped[float]
    alpha: Mapped[float]  # over all attempts
    attempts: Mapped[int]  # declared before the first draw
    attempt: Mapped[int]  # the how-manieth lot that shares rows with an earlier one
    prior_a: Mapped[float]
    prior_b: Mapped[float]
    double_share: Mapped[float]  # of the draws: so many are read by two people
    guideline_version: Mapped[int | None]
    code_version: Mapped[str]
    rows: Mapped[int]  # of the part that is drawn from
    census_rows: Mapped[int]
    dropped_rows: Mapped[int]
    lot_sha256: Mapped[str]  # logged before there was a seed
    seed: Mapped[str]
    order_sha256: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'open'"), default="open")
    closed_at: Mapped[datetime | None]
    why_closed: Mapped[str] = mapped_column(server_default=text("''"), default="")


class LotRow(Base):
    """An instance of a lot, as it stood at the freeze."""

    __tablename__ = "lot_row"
    __table_args__ = (
        UniqueConstraint("audit_id", "part", "position"),
        Index("ix_lot_row_twice", "audit_id", "position", postgresql_where=text("twice")),
        CheckConstraint("part IN ('random', 'census')", name="part"),
    )

    audit_id: Mapped[int] = mapped_column(ForeignKey("audit.id"), primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), primary_key=True, index=True)
    row_id: Mapped[str]  # as releases name it
    revision: Mapped[int]
    content_hash: Mapped[str]
    part: Mapped[str]
    position: Mapped[int]  # from 1, in the order of the seed; of the census in order of the ids
    twice: Mapped[bool]


class Lease(_Numbered, Base):
    """An instance in a reader's hands until it is decided or the time is over.

    In the work stream one reader has it at a time; each audit hands out the draws of its lot apart from that.
    """

    __tablename__ = "lease"
    __table_args__ = (
        UniqueConstraint("instance_id", "person_id", "audit_id", postgresql_nulls_not_distinct=True),
        Index("ix_lease_expiry", "expires_at"),
        Index("ix_lease_audit_id", "audit_id", "instance_id", postgresql_where=text("audit_id IS NOT NULL")),
        CheckConstraint("(audit_id IS NULL) = (stream = 'work')", name="stream"),
    )

    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    stream: Mapped[str]
    audit_id: Mapped[int | None] = mapped_column(ForeignKey("audit.id"))
    token: Mapped[str] = mapped_column(unique=True)
    leased_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


class BulkAction(_Numbered, _Created, Base):
    """One action on everything that matched a filter. Each of its instances has a decision that points here."""

    __tablename__ = "bulk_action"
    __table_args__ = (Index("ix_bulk_action_project_id_id", "project_id", "id"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    action: Mapped[str]
    filters: Mapped[dict[str, Any]]
    reason: Mapped[str | None]
    note: Mapped[str] = mapped_column(default="")
    count: Mapped[int]
    undone_at: Mapped[datetime | None]
    taken_back: Mapped[int | None]  # of `count`: how many the undo reached


class Decision(_Numbered, _Created, Base):
    """What a person did with an instance. Undone ones stay, marked."""

    __tablename__ = "decision"
    __table_args__ = (
        # A bulk action makes thousands of rows at once; what a reader did one by one is found without walking over them.
        Index("ix_decision_person_id_id", "person_id", "id", postgresql_where=text("bulk_action_id IS NULL")),
        Index(
            "ix_decision_person_id_created_at",
            "person_id",
            "created_at",
            postgresql_where=text("bulk_action_id IS NULL"),
        ),
        Index("ix_decision_project_id_created_at", "project_id", "created_at"),
        Index("ix_decision_answer", "person_id", "instance_id", postgresql_where=text("undone_at IS NULL")),
        Index("ix_decision_reason", "project_id", "reason", postgresql_where=text("reason IS NOT NULL")),
        Index(
            "ix_decision_bulk_action_id",
            "bulk_action_id",
            postgresql_where=text("bulk_action_id IS NOT NULL"),
        ),
        Index(
            "ix_decision_audit_id", "audit_id", "instance_id", postgresql_where=text("audit_id IS NOT NULL")
        ),
        CheckConstraint("(audit_id IS NULL) = (defect IS NULL)", name="defect"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), index=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    stream: Mapped[str]
    action: Mapped[str]
    reason: Mapped[str | None]
    note: Mapped[str] = mapped_column(default="")
    revision: Mapped[int]  # the one that was decided on
    new_revision: Mapped[int | None]  # the one that an edit made
    verdict_id: Mapped[int | None] = mapped_column(ForeignKey("verdict.id"))  # the one that was on screen
    guideline_version: Mapped[int | None]
    bulk_action_id: Mapped[int | None] = mapped_column(ForeignKey("bulk_action.id"))
    audit_id: Mapped[int | None] = mapped_column(ForeignKey("audit.id"))
    defect: Mapped[bool | None]  # the label of an audit's reading, apart from what the action did to the text
    round: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    is_adjudication: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    leased_at: Mapped[datetime | None]  # when the reader was given the instance
    before: Mapped[
        dict[str, Any] | None
    ]  # for its undo: status, round and readings; of a bulk action the case, too
    undone_at: Mapped[datetime | None]


class LabelChange(_Numbered, Base):
    """A label of an audit that became another one, and why. Rows are only ever added."""

    __tablename__ = "label_change"
    __table_args__ = (
        Index("ix_label_change_audit_id_id", "audit_id", "id"),
        CheckConstraint("why IN ('disagreement', 'adjudicated', 'found later')", name="why"),
    )

    audit_id: Mapped[int] = mapped_column(ForeignKey("audit.id"))
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"))
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decision.id"))  # what changed it
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    before: Mapped[bool]  # whether it was a defect
    after: Mapped[bool]
    why: Mapped[str]
    note: Mapped[str] = mapped_column(server_default=text("''"), default="")


class RuleOverride(Base):
    """A person's own answer to one rule, beside the machine's."""

    __tablename__ = "rule_override"

    decision_id: Mapped[int] = mapped_column(ForeignKey("decision.id"), primary_key=True)
    rule: Mapped[str] = mapped_column(primary_key=True)
    answer: Mapped[str]  # yes or no


class ReplayVerdict(Base):
    """What another judge says of an instance that people have decided, beside the verdict that was on screen then."""

    __tablename__ = "replay_verdict"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"), primary_key=True)
    verdict_id: Mapped[int] = mapped_column(ForeignKey("verdict.id"))  # the one that it is compared with
    is_good: Mapped[bool]  # whether people accepted the instance as it was
    call_id: Mapped[int | None] = mapped_column(ForeignKey("call.id"))  # null until it is answered
    overall: Mapped[str | None]


# --- export -----------------------------------------------------------------------------------------------


class Release(_Numbered, _Created, Base):
    """An immutable, hashed export. Its files lie below FILES_DIR under `sha256`."""

    __tablename__ = "release"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), unique=True)
    name: Mapped[str]
    basis: Mapped[str]
    audit_id: Mapped[int | None] = mapped_column(ForeignKey("audit.id"))  # whose lot it is
    request: Mapped[dict[str, Any]]  # filters, gates, splits and formats as asked
    manifest: Mapped[dict[str, Any] | None]  # null until it is built
    sha256: Mapped[str | None]
    rows: Mapped[int | None]

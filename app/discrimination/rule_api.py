"""A project's rules over REST: read, saved as a version, switched. Touches HTTP, as `api` does."""

from typing import Annotated

from fastapi import Body, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.discrimination import rulebook, service
from app.discrimination.rubric import CheckedBy, Rule
from app.discrimination.rulebook import Entry, Rulebook
from app.discrimination.service import Shown
from app.pipeline import Task
from app.web.dependencies import AdminProject, ApiCaller, DbSession, ReadProject
from app.web.idempotency import api_router
from app.web.versions import VersionShape, version_shapes

router = api_router(tags=["rules"])


class RuleShape(BaseModel):
    """A question with the answer yes or no."""

    model_config = ConfigDict(extra="forbid")

    rule: str = Field(max_length=100, examples=["solution_answers"])
    text: str = Field(max_length=5000, examples=["The solution resolves the instruction."])
    tasks: list[Task] = Field(max_length=4)
    required: bool = Field(description="Whether a no fails the instance; of an advisory rule it only informs")
    checked_by: CheckedBy = Field(description="model, machine, or both: a no of either is a no")
    version: int = Field(0, description="Of this rule; what is sent is not looked at")
    may_not_apply: bool = Field(False, description="Whether “not applicable” is an answer")
    language: str | None = Field(
        None, max_length=20, description="Only about instances in it, or translated to it"
    )
    check: str | None = Field(
        None,
        max_length=100,
        description="The mechanical check or the kind of evidence; null: the rule's own name",
    )
    retired: bool = False


class RulesShape(BaseModel):
    """A version of a project's rules, in order."""

    version: int | None = Field(description="Null: as shipped", examples=[3])
    in_force: bool = Field(description="Whether the next runs start with it")
    content_hash: str
    hashes: dict[Task, str] = Field(description="Of each task's set, as verdicts have it")
    rules: list[RuleShape]


class NewRules(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rules: list[RuleShape] = Field(max_length=rulebook.MOST_RULES, description="All of them, in order")
    note: str = Field("", max_length=1000, examples=["Imports are asked for in Go, too."])


class Switch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int | None = Field(ge=1, le=10**9, description="Null: back to what is shipped", examples=[3])
    without_replay: bool = Field(False, description="Though nobody has replayed it on what people decided")


@router.get("/projects/{project}/rules")
def rules(
    session: DbSession,
    project: ReadProject,
    version: Annotated[
        str | None, Query(max_length=20, description="A number or `shipped`; without it those in force")
    ] = None,
) -> RulesShape:
    """The rules by which instances are judged. Runs that have started keep theirs."""
    found = service.shown(session, project, version) if version else service.rules_in_force(session, project)
    return _shape(found)


@router.get("/projects/{project}/rules/versions")
def rule_versions(session: DbSession, project: ReadProject) -> list[VersionShape]:
    """Those that people wrote, the newest first."""
    force = service.rules_in_force(session, project).content_hash
    return version_shapes(service.versions(session, project), force)


@router.post("/projects/{project}/rules/versions", status_code=201)
def save_rules(
    session: DbSession,
    project: AdminProject,
    caller: ApiCaller,
    asked: Annotated[NewRules, Body()],
    response: Response,
) -> RulesShape:
    """Keep a version. It is in force only when somebody puts it there. 422 names the rule and what is wrong."""
    known = service.known_books(session, project)
    book = tuple(_entry(one, known) for one in asked.rules)
    saved = service.save_book(session, project, book, caller.person.id, asked.note)
    response.headers["Location"] = f"/api/v1/projects/{project.slug}/rules?version={saved.key}"
    return _shape(saved)


@router.post("/projects/{project}/rules/in-force")
def switch_rules(
    session: DbSession, project: AdminProject, caller: ApiCaller, asked: Annotated[Switch, Body()]
) -> RulesShape:
    """From now on runs start with this version. 409 where they do already, or where it was never replayed."""
    key = "shipped" if asked.version is None else str(asked.version)
    return _shape(
        service.switch_rules(session, project, key, caller.person.id, without_replay=asked.without_replay)
    )


def _entry(shape: RuleShape, known: list[Rulebook]) -> Entry:
    rule = Rule(
        shape.rule,
        shape.text,
        tuple(task for task in Task if task in shape.tasks),
        shape.required,
        shape.checked_by,
        version=0,
        may_not_apply=shape.may_not_apply,
        language=shape.language,
        check=None if shape.check in ("", shape.rule) else shape.check,
    )
    return Entry(rulebook.numbered(rule, known), shape.retired)


def _shape(found: Shown) -> RulesShape:
    return RulesShape(
        version=found.version,
        in_force=found.is_in_force,
        content_hash=found.content_hash,
        hashes=dict(service.hashes_of(found.book)),
        rules=[RuleShape.model_validate(one.rule._asdict() | {"retired": one.retired}) for one in found.book],
    )

"""Projects over REST, and who a token acts as."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import Response
from pydantic import BaseModel, Field

from app.accounts.roles import admit_everywhere, role_everywhere, seen_projects
from app.console import service
from app.pipeline import Role, Scope
from app.storage.tables import Project
from app.web.dependencies import ApiCaller, DbSession, ReadProject
from app.web.idempotency import api_router
from app.web.pagination import AskedWindow, Page, cut

router = api_router(tags=["projects"])


class NewProject(BaseModel):
    name: Annotated[str, Field(description="Its slug is made from it", examples=["Python helpers"])]
    description: str = ""


class ProjectAnswer(BaseModel):
    slug: Annotated[str, Field(description="`{project}` in every address", examples=["python-helpers"])]
    name: str
    description: str
    reasons: Annotated[list[str], Field(description="Why people reject, edit or skip")]
    allowed_licenses: Annotated[
        list[str] | None, Field(description="SPDX identifiers; null: every one is admitted")
    ]
    is_demo: bool
    created_at: datetime

    @classmethod
    def of(cls, project: Project) -> Self:
        return cls.model_validate(project, from_attributes=True)


class Me(BaseModel):
    """Who a token acts as."""

    name: Annotated[str, Field(examples=["ada"])]
    scope: Scope
    role: Annotated[Role | None, Field(description="The role in all projects, limited by the token's scope")]
    projects: Annotated[dict[str, Role], Field(examples=[{"demo": "annotator"}])]


@router.post("/projects", status_code=201)
def create_project(
    session: DbSession, caller: ApiCaller, new: NewProject, response: Response
) -> ProjectAnswer:
    """A new project with the default reasons and guideline. 409 when its slug is taken."""
    admit_everywhere(session, caller, Role.ADMIN)
    project = service.create_project(session, caller.person.id, new.name, new.description)
    response.headers["Location"] = f"/api/v1/projects/{project.slug}"
    return ProjectAnswer.of(project)


@router.get("/projects")
def list_projects(session: DbSession, caller: ApiCaller, asked: AskedWindow) -> Page[ProjectAnswer]:
    """The projects you may see, the oldest first."""
    seen = sorted((one.project for one in seen_projects(session, caller)), key=lambda project: project.id)
    rows = [project for project in seen if asked.after is None or project.id > asked.after]
    projects, following = cut(rows, asked, lambda project: project.id)
    return Page(items=[ProjectAnswer.of(project) for project in projects], next=following)


@router.get("/projects/{project}")
def read_project(project: ReadProject) -> ProjectAnswer:
    """One project, by its slug."""
    return ProjectAnswer.of(project)


@router.get("/me", tags=["people"])
def me(session: DbSession, caller: ApiCaller) -> Me:
    """Who this token acts as, and what it may do."""
    return Me(
        name=caller.person.name,
        scope=caller.scope,
        role=role_everywhere(session, caller),
        projects={one.project.slug: one.role for one in seen_projects(session, caller)},
    )
